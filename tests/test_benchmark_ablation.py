"""The ablations: each way of scoring against a plain form, and that a run makes rows, goes on and is summed up."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from test_benchmark_parts import only, part  # noqa: F401
from test_benchmarks import run
from workflows.tiles import mvtec, tile

RNG = np.random.default_rng(7)
FEW = ("--images", 5, "--seeds", 0, "--sides", 64)


@pytest.fixture
def scores(part):  # noqa: F811
    return part("_ablation_scores")


def rows_of(count, dims=6):
    return RNG.normal(size=(count, dims)).astype(np.float32) * np.linspace(1, 3, dims, dtype=np.float32)


def test_a_bank_is_searched_image_by_image(scores):
    learnt, tested = rows_of(200), [rows_of(9), rows_of(4)]
    found = scores.search(learnt, tested, 20, seed=3, k=2)
    assert found.bank.shape == (20, 6)
    for image, near, nearest in zip(tested, found.distances, found.nearest, strict=True):
        plain = cdist(image, found.bank)
        np.testing.assert_allclose(near, np.sort(plain, axis=1)[:, :2], rtol=1e-4)
        np.testing.assert_array_equal(nearest, plain.argmin(axis=1))
    assert found.spread == pytest.approx(np.sqrt(learnt.var(axis=0).sum()), rel=1e-5)


def test_banks_are_joined_as_the_root_mean_square_over_spreads(scores):
    a, b = np.array([3.0, 0.0], np.float32), np.array([4.0, 2.0], np.float32)
    np.testing.assert_allclose(scores.joined([a, b], [1.0, 2.0]), np.sqrt([(9 + 4) / 2, (0 + 1) / 2]), rtol=1e-6)


def test_distances_are_taken_over_how_far_apart_the_rows_lie(scores):
    bank = rows_of(40)
    plain = np.sort(cdist(bank, bank), axis=1)[:, 1:10].mean(axis=1)
    around = scores.radii(bank)
    np.testing.assert_allclose(around, plain, rtol=1e-4)
    distances, nearest = np.array([1.0, 2.0], np.float32), np.array([5, 30])
    for power in (0.5, 1.0):
        expected = [d * (plain.mean() / plain[row]) ** power for d, row in zip(distances, nearest, strict=True)]
        np.testing.assert_allclose(scores.by_density(distances, nearest, around, power), expected, rtol=1e-4)


def test_the_papers_weight_is_equation_7(scores):
    bank, top = rows_of(30) / 5, rows_of(1)[0] / 5
    to = cdist(top[None], bank)[0]
    around = cdist(bank[to.argmin()][None], bank)[0].argsort()[:9]
    expected = 1 - np.exp(to.min()) / np.exp(to[around]).sum()
    searched = scores.ExactNeighbors(bank)
    assert scores.paper_weight(top, int(to.argmin()), searched) == pytest.approx(expected, rel=1e-4)


def test_principal_components_are_those_of_scikit_learn(scores):
    rows, others = rows_of(500) @ rows_of(6), rows_of(50)
    axes, known = scores.Principal.of(rows), PCA(whiten=True).fit(rows)
    kept = int((np.cumsum(known.explained_variance_ratio_) < scores.KEPT).sum()) + 1
    found = axes.whitened(others)
    assert found.shape == (50, kept)
    np.testing.assert_allclose(np.abs(found), np.abs(known.transform(others)[:, :kept]), rtol=2e-3, atol=2e-3)
    count = axes.kept(0.9)
    partly = PCA(count).fit(rows)
    error = np.linalg.norm(others - partly.inverse_transform(partly.transform(others)), axis=1)
    np.testing.assert_allclose(axes.left_over(others, 0.9), error, rtol=2e-3, atol=2e-3)
    inverse = np.linalg.inv(np.cov(rows.T) + 0.01 * np.eye(6))
    centred = others - rows.mean(axis=0)
    expected = np.sqrt(np.einsum("nd,de,ne->n", centred, inverse, centred))
    np.testing.assert_allclose(axes.mahalanobis(others), expected, rtol=2e-3)


def test_scaled_layers_have_one_spread_each(scores):
    rows = rows_of(300)
    scaled = rows * scores.scaled_layers(rows, [2, 4])
    assert [scaled[:, :2].var(axis=0).sum(), scaled[:, 2:].var(axis=0).sum()] == pytest.approx([1, 1], rel=1e-4)


@pytest.mark.parametrize("shape", [(40, 130), (90, 30), (64, 64)])
def test_a_frame_shows_the_picture_and_tells_where(part, shape):  # noqa: F811
    features = part("_ablation_features")
    image = RNG.integers(1, 255, (*shape, 3), dtype=np.uint8)
    for frame in ("native, mirrored", "native, constant"):
        canvas, rows, columns = features.framed(image, features.View(frame=frame))
        assert canvas.shape[0] == canvas.shape[1]
        assert canvas.shape[0] % features.CANVAS == 0
        top, left = rows.start * features.STRIDE, columns.start * features.STRIDE
        np.testing.assert_array_equal(canvas[top : top + shape[0], left : left + shape[1]], image)
        assert [rows.stop - rows.start, columns.stop - columns.start] == [round(n / 8) for n in shape]
    canvas, rows, columns = features.framed(image, features.View(frame="aspect, constant"))
    assert (rows.stop - rows.start) * (columns.stop - columns.start) == pytest.approx(32 * 32, rel=0.05)


def test_files_of_two_views_lie_there_at_most(part, tmp_path):  # noqa: F811
    features = part("_ablation_features")
    images = [tile(number) for number in range(3)]
    store = features.Store(features.Pictures("tiles", images[:1], images[1:2], images[2:]), tmp_path)
    plain = store.get(features.PLAIN)
    sides = {side: store.get(features.View(side=side)).learnt(features.LAYERS) for side in (64, 96)}
    assert [len(rows) for rows in sides.values()] == [8 * 8, 12 * 12]
    assert store.get(features.PLAIN) is plain
    assert len(list(tmp_path.iterdir())) == 2
    np.testing.assert_array_equal(store.get(features.View(side=64)).learnt(features.LAYERS), sides[64])
    assert plain.of_image(2, features.LAYERS[1:2]).shape == (32 * 32, 40)


@pytest.mark.filterwarnings("ignore:PaDiM fits:kizu.KizuWarning")
def test_only_good_images_of_a_folder_are_read(part, tmp_path):  # noqa: F811
    data = mvtec(tmp_path / "部品")
    for path in (data / "test").rglob("*.png"):
        path.unlink()
    run("ablation.py", data, "--solar", "", "--leads", "baseline,input", *FEW, "--results", tmp_path)
    rows = only(tmp_path, "ablation")
    assert [row["lead"] for row in rows] == ["baseline", *["input"] * 4]
    assert rows[0]["difference"] == "0"
    assert all(0 < float(row["pixel_aupro"]) <= 1 for row in rows)


def test_a_run_goes_on_and_is_summed_up(part, tmp_path):  # noqa: F811
    cells = ("--solar", "mono", *FEW, "--results", tmp_path)
    run("ablation.py", *cells, "--leads", "baseline")
    begun = only(tmp_path, "ablation")
    told = run("ablation.py", *cells, "--leads", "baseline,score,patches", "--skip-done")
    rows = only(tmp_path, "ablation")
    assert "baseline, one bank" not in told
    assert rows[: len(begun)] == begun
    assert [row["lead"] for row in rows] == ["baseline", *["score"] * 4, *["patches"] * 2]
    assert {row["pixel_aupro"] for row in rows} == {""}
    found = only(tmp_path, "ablation_summary")
    assert [row["auroc, solar cells, mono"] for row in found] == [row["image_auroc"] for row in rows]
    assert part("_ablation_forms").ablation(found[0])["solar cells, mono"].endswith(" (+0.000)")


def test_data_sets_stand_beside_each_other(part):  # noqa: F811
    row = {"lead": "layers", "setting": "one", "seed": "0", "dimensions": "64", "seconds": "1", "ms": "2"}
    row |= {"backbone_ms": "6", "image_auroc": "0.9", "difference": "-0.02", "low": "-0.03", "high": "-0.01"}
    cells = {**row, "data": "cells", "pixel_aupro": ""}
    tiles = {**row, "data": "tiles", "pixel_aupro": "0.5", "low": "-0.05", "high": "0.01", "ms": "4"}
    alone = {**tiles, "setting": "two"}
    one, two = part("ablation").summary([cells, tiles, alone])
    forms = part("_ablation_forms")
    shown = forms.ablation({name: part("_results").text(value) for name, value in one.items()})
    assert (shown["cells"], shown["tiles"], shown["PRO, tiles"]) == ("0.900 (**-0.020**)", "0.900 (-0.020)", "0.500")
    assert shown["scoring an image"] == "3.0 ms"
    assert "PRO, cells" not in shown
    assert forms.ablation({name: part("_results").text(value) for name, value in two.items()})["cells"] == "–"
