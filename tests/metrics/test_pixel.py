"""Pixel metrics against scikit-learn and a plain-loop PRO."""

from __future__ import annotations

import json
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from kizu.errors import DataError, ParameterError
from kizu.metrics import PixelAccumulator, pr_curve, roc_curve
from kizu.metrics.bins import bin_of
from kizu.metrics.overlap import region_weights
from reference.metrics import plain_aupro, plain_regions


def accumulate(maps, masks, threshold=1.0):
    pixels = PixelAccumulator()
    for anomaly_map, mask in zip(maps, masks, strict=True):
        pixels.update(anomaly_map, mask)
    return pixels.result(threshold)


def coarse(maps):
    """Scores that share no bin unless equal: multiples of 1/64 up to 32."""
    return [np.round(np.clip(m, 0, 32) * 64).astype(np.float32) / 64 for m in maps]


def random_case(seed, shapes=((24, 20), (16, 31), (20, 20)), signal=1.0, density=0.1):
    rng = np.random.default_rng(seed)
    masks = [rng.random(shape) < density for shape in shapes]
    masks.append(np.zeros((18, 18), bool))
    maps = [rng.gamma(2.0, 1.0, m.shape) + signal * m * rng.random(m.shape) for m in masks]
    return [m.astype(np.float32) for m in maps], masks


def structured_case():
    """A large defect half found, two small ones that touch by a corner, one missed, and a good image."""
    mask, scores = np.zeros((40, 40), bool), np.full((40, 40), 0.5)
    defects = {(2, 18, 3, 20): 2.0, (25, 28, 5, 9): 4.0, (28, 31, 9, 12): 3.0, (33, 39, 30, 38): 0.6}
    for (top, bottom, left, right), score in defects.items():
        mask[top:bottom, left:right] = True
        scores[top:bottom, left:right] = score
    scores[2:10, 3:20] = 0.4
    noise = np.random.default_rng(1).random((2, 40, 40)) * 1.5
    maps = [(scores + noise[0]).astype(np.float32), (noise[1] + 0.5).astype(np.float32)]
    return maps, [mask, np.zeros((40, 40), bool)]


def flat(maps, masks):
    return np.concatenate([m.ravel() for m in maps]), np.concatenate([m.ravel() for m in masks])


CASES = {
    "random": random_case(0),
    "weak": random_case(1, signal=0.2, density=0.02),
    "dense": random_case(2, signal=4.0, density=0.6),
    "structured": structured_case(),
    "tied": (coarse(structured_case()[0]), structured_case()[1]),
    "constant": ([np.full((9, 9), 2.0, np.float32)], [np.eye(9, dtype=bool)]),
    "perfect": ([np.eye(9, dtype=np.float32)], [np.eye(9, dtype=bool)]),
    "inverted": ([1 - np.eye(9, dtype=np.float32)], [np.eye(9, dtype=bool)]),
    "one pixel outside": ([np.arange(9, dtype=np.float32).reshape(3, 3)], [np.arange(9).reshape(3, 3) != 4]),
}


@pytest.mark.parametrize("name", CASES)
def test_pro_agrees_with_the_plain_loop(name):
    maps, masks = CASES[name]
    assert accumulate(maps, masks).aupro == pytest.approx(plain_aupro(maps, masks), abs=1e-4)


@pytest.mark.parametrize("name", ["tied", "constant", "perfect", "inverted", "one pixel outside"])
def test_pro_is_exact_when_bins_are(name):
    maps, masks = CASES[name]
    assert accumulate(maps, masks).aupro == pytest.approx(plain_aupro(maps, masks), abs=1e-12)


def test_pro_known_values():
    assert accumulate(*CASES["perfect"]).aupro == 1.0
    assert accumulate(*CASES["inverted"]).aupro == 0.0
    # One score everywhere: the curve is the diagonal, and the area under it up to 0.3 is 0.3² / 2.
    assert accumulate(*CASES["constant"]).aupro == pytest.approx(0.15)


def test_pro_weighs_regions_alike():
    """A found defect of one pixel counts as much as a missed one of a hundred."""
    mask, scores = np.zeros((30, 30), bool), np.full((30, 30), 1.0, np.float32)
    mask[2:12, 2:12], mask[20, 20] = True, True
    scores[20, 20], scores[2:12, 2:12] = 9.0, 0.1
    assert accumulate([scores], [mask]).aupro == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(4))
def test_region_weights_agree_with_scipy(seed):
    mask = np.random.default_rng(seed).random((25, 30)) < 0.15 * (seed + 1)
    weights, regions = region_weights(mask)
    expected = np.zeros(mask.shape)
    for region in plain_regions(mask):
        expected[region] = 1 / region.sum()
    assert regions == len(plain_regions(mask))
    np.testing.assert_allclose(weights, expected[mask])


@pytest.mark.parametrize("name", CASES)
def test_ranking_agrees_with_scikit_learn(name):
    maps, masks = CASES[name]
    scores, labels = flat(maps, masks)
    found = accumulate(maps, masks)
    exact = sk.roc_auc_score(labels, scores)
    assert abs(found.auroc - exact) <= found.auroc_resolution + 1e-12
    precision, recall, _ = sk.precision_recall_curve(labels, scores)
    assert found.ap == pytest.approx(sk.average_precision_score(labels, scores), abs=2e-3)
    assert found.f1_max == pytest.approx((2 * precision * recall / (precision + recall + 1e-300)).max(), abs=2e-3)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_ranking_is_exact_on_the_binned_scores(data):
    """What the histogram says equals what scikit-learn says of the bin numbers."""
    numbers = st.floats(0, 2**21, width=32) | st.sampled_from([0.0, 1.0, 1.00001, 2.0])
    scores = np.array(data.draw(st.lists(numbers, min_size=12, max_size=12)), np.float32).reshape(3, 4)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=12, max_size=12))).reshape(3, 4)
    mask[0, 0], mask[2, 3] = True, False
    found = accumulate([scores], [mask])
    bins = bin_of(scores).ravel()
    assert found.auroc == pytest.approx(sk.roc_auc_score(mask.ravel(), bins), abs=1e-12)
    assert found.ap == pytest.approx(sk.average_precision_score(mask.ravel(), bins), abs=1e-12)
    exact = sk.roc_auc_score(mask.ravel(), scores.ravel())
    assert abs(found.auroc - exact) <= found.auroc_resolution + 1e-12


def test_auroc_resolution_bounds_what_binning_hides():
    """Four scores in one bin, ranked perfectly: AUROC is 0.5 for the histogram, and it says ±0.5."""
    scores = np.array([[1.0, 1.000001, 1.000002, 1.000003]], np.float32)
    mask = np.array([[False, False, True, True]])
    found = accumulate([scores], [mask])
    assert (found.auroc, found.auroc_resolution) == (0.5, 0.5)


def test_resolution_is_small_on_real_sized_maps():
    assert accumulate(*CASES["random"]).auroc_resolution < 1e-4


@pytest.mark.parametrize("threshold", [0.0, 0.75, 1.5, 2.015625, 40.0, -1.0])
def test_counts_at_a_threshold(threshold):
    maps, masks = CASES["tied"]
    scores, labels = flat(maps, masks)
    found, flagged = accumulate(maps, masks, threshold), scores > threshold
    assert [[found.tn, found.fp], [found.fn, found.tp]] == sk.confusion_matrix(labels, flagged).tolist()
    assert found.accuracy == pytest.approx(sk.accuracy_score(labels, flagged))
    assert found.recall == pytest.approx(sk.recall_score(labels, flagged))
    assert found.f1 == pytest.approx(sk.f1_score(labels, flagged))
    assert found.iou == pytest.approx(sk.jaccard_score(labels, flagged))
    expected = sk.precision_score(labels, flagged) if flagged.any() else None
    assert found.precision == pytest.approx(expected)


@pytest.mark.parametrize("name", CASES)
def test_f1_at_its_best_threshold_is_the_best(name):
    maps, masks = CASES[name]
    threshold = accumulate(maps, masks).f1_max_threshold
    again = accumulate(maps, masks, threshold)
    assert again.f1 == pytest.approx(again.f1_max, abs=1e-12)
    scores, labels = flat(maps, masks)
    assert sk.f1_score(labels, scores > threshold) == pytest.approx(again.f1_max, abs=1e-12)


def test_order_of_images_does_not_matter():
    maps, masks = random_case(5)
    forward, backward = accumulate(maps, masks), accumulate(maps[::-1], masks[::-1])
    assert forward.aupro == pytest.approx(backward.aupro, abs=1e-12)
    same = {**forward.to_dict(), "aupro": None}
    assert same == {**backward.to_dict(), "aupro": None}


def test_result_may_be_asked_in_between():
    maps, masks = random_case(6)
    pixels = PixelAccumulator()
    for anomaly_map, mask in zip(maps, masks, strict=True):
        pixels.update(anomaly_map, mask)
        pixels.result(1.0)
    assert pixels.result(1.0) == accumulate(maps, masks)


def test_memory_does_not_grow_with_images():
    rng = np.random.default_rng(0)
    anomaly_map, mask = rng.random((128, 128), np.float32), rng.random((128, 128)) < 0.1
    tracemalloc.start()
    try:
        pixels = PixelAccumulator()
        pixels.update(anomaly_map, mask)
        first, _ = tracemalloc.get_traced_memory()
        for _ in range(60):
            pixels.update(anomaly_map * rng.random(dtype=np.float32), mask)
        last, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 31e6 < first < 32e6
    assert last - first < 50_000  # 61 maps would be 4 MB


def test_without_defects_ranking_is_none():
    found = accumulate([np.ones((4, 4), np.float32)], [np.zeros((4, 4), bool)], threshold=0.5)
    assert found.auroc is found.ap is found.f1_max is found.f1_max_threshold is found.aupro is None
    assert found.auroc_resolution is found.recall is found.f1 is found.iou is None
    assert (found.accuracy, found.precision, found.fp, found.images, found.regions) == (0.0, 0.0, 16, 1, 0)


def test_nothing_but_defects_ranking_is_none():
    found = accumulate([np.ones((4, 4), np.float32)], [np.ones((4, 4), bool)], threshold=0.5)
    assert found.auroc is found.ap is found.aupro is found.auroc_resolution is None
    assert (found.recall, found.iou, found.regions) == (1.0, 1.0, 1)


def test_before_the_first_map():
    assert PixelAccumulator().result(1.0) is None
    with pytest.raises(DataError, match="no pixel"):
        PixelAccumulator().counts()


def test_curves_of_pixels():
    maps, masks = CASES["structured"]
    pixels = PixelAccumulator()
    for anomaly_map, mask in zip(maps, masks, strict=True):
        pixels.update(anomaly_map, mask)
    roc, pr = roc_curve(pixels.counts()), pr_curve(pixels.counts())
    area = (np.diff(roc.fpr) * (roc.tpr[1:] + roc.tpr[:-1]) / 2).sum()
    assert area == pytest.approx(pixels.result(1.0).auroc)
    assert (np.diff(pr.recall) * pr.precision[1:]).sum() == pytest.approx(pixels.result(1.0).ap)


def test_to_dict_is_plain_json():
    found = accumulate(*CASES["random"], threshold=np.float32(1.5)).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def ones(*shape):
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(
    ("anomaly_map", "mask", "words"),
    [
        (np.array([[math.nan, 1.0]], np.float32), np.zeros((1, 2), bool), "NaN"),
        (np.array([[-0.5, 1.0]], np.float32), np.zeros((1, 2), bool), "less than 0"),
        (np.array([[math.inf, 1.0]], np.float32), np.zeros((1, 2), bool), "infinity"),
        (ones(4), np.zeros(4, bool), r"\(H, W\)"),
        (ones(0, 4), np.zeros((0, 4), bool), "at least one pixel"),
        (ones(4, 4), np.zeros((4, 5), bool), "as large as its map"),
        (ones(4, 4), np.zeros((4, 4), np.uint8), "must be bool"),
    ],
)
def test_bad_input_is_refused_and_not_counted(anomaly_map, mask, words):
    pixels = PixelAccumulator()
    with pytest.raises(DataError, match=words):
        pixels.update(anomaly_map, mask)
    assert pixels.result(1.0) is None


def test_threshold_must_be_finite():
    with pytest.raises(ParameterError, match="`threshold`"):
        PixelAccumulator().result(math.nan)


def test_no_pixel_of_any_map_counts():
    pixels = PixelAccumulator()
    pixels.update(np.ones((2, 2), np.float32), np.ones((2, 2), bool), np.zeros((2, 2), bool))
    assert pixels.result(1.0) is None
    with pytest.raises(DataError, match="no pixel of an anomaly map has been counted"):
        pixels.counts()
