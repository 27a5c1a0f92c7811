"""PaDiM against plain loops."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest

from kizu.detectors import _padim_memory
from kizu.detectors.padim import PaDiM
from kizu.errors import DataError, KizuWarning, ModelFileError, ParameterError
from reference.padim import patch_scores


def embeddings(images, height=3, width=4, channels=6, seed=0):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).standard_normal((channels, channels))
    return (rng.standard_normal((images, height, width, channels)) @ mixing + 3).astype(np.float32)


@pytest.mark.parametrize("regularisation", [0.01, 1, 1e3])
@pytest.mark.parametrize("reduced_dims", [None, 6, 4, 1])
@pytest.mark.parametrize("images", [7, 16, 50])
def test_scores_agree_with_plain_loops(images, reduced_dims, regularisation):
    good, test = embeddings(images), embeddings(5, seed=1)
    detector = PaDiM(reduced_dims=reduced_dims, regularisation=regularisation).fit(iter(np.array_split(good, 3)))
    found = detector.score(test)
    expected = patch_scores(good, test, detector.channels_, regularisation)
    np.testing.assert_allclose(found.patches, expected, rtol=1e-3)
    np.testing.assert_array_equal(found.images, found.patches.max(axis=(1, 2)))


def test_embeddings_far_from_0():
    good, test = embeddings(40) + np.float32(1e3), embeddings(5, seed=1) + np.float32(1e3)
    detector = PaDiM().fit([good])
    np.testing.assert_allclose(
        detector.score(test).patches, patch_scores(good, test, detector.channels_, 0.01), rtol=1e-2
    )


def test_channels_are_chosen_by_the_seed():
    def channels(seed):
        good = embeddings(12, channels=40)
        return PaDiM(reduced_dims=8).fit([good], rng=np.random.default_rng(seed)).channels_.tolist()

    assert channels(0) == channels(0)
    assert len({tuple(channels(seed)) for seed in range(6)}) > 3
    for seed in range(6):
        chosen = channels(seed)
        assert chosen == sorted(set(chosen))
        assert len(chosen) == 8
        assert 0 <= chosen[0] <= chosen[-1] < 40


@pytest.mark.parametrize(("available", "kept"), [(1, 1), (60, 60), (100, 100), (130, 100)])
def test_100_channels_or_all_by_default(available, kept):
    detector = PaDiM().fit([np.random.default_rng(0).standard_normal((131, 1, 1, available), dtype=np.float32)])
    assert len(detector.channels_) == kept
    assert detector.summary() == {"positions": 1, "dimensions": kept}


def test_more_dimensions_than_channels():
    text = "`reduced_dims` must be at most the 6 channels there are; got 7. Lower it or name more layers."
    with pytest.raises(ParameterError) as caught:
        PaDiM(reduced_dims=7).fit([embeddings(20)])
    assert str(caught.value) == text


@pytest.mark.parametrize("images", [2, 5, 6])
def test_too_few_images_warn_and_say_what_to_do(images):
    with pytest.warns(KizuWarning) as caught:
        detector = PaDiM().fit([embeddings(images)])
    (text,) = [str(warning.message) for warning in caught]
    assert text == (
        f"PaDiM fits 6 dimensions on {images} images, so its covariances are mostly regularisation. Give more than "
        f"6 good images, set detector.reduced_dims to {images // 2} or less, or use --detector patchcore."
    )
    assert caught[0].filename == __file__
    assert np.isfinite(detector.score(embeddings(2)).patches).all()


def test_what_the_warning_advises_stops_it():
    for advised in (lambda: PaDiM().fit([embeddings(7)]), lambda: PaDiM(reduced_dims=3).fit([embeddings(6)])):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            advised()


def test_covariances_that_cannot_be_factored():
    constant = np.ones((10, 2, 2, 3), dtype=np.float32) * np.arange(10, dtype=np.float32)[:, None, None, None]
    with pytest.raises(DataError, match=r"detector\.regularisation 1e-30; raise it .* or give more good images"):
        PaDiM(regularisation=1e-30).fit([constant])


def test_memory_does_not_grow_with_the_number_of_images():
    def peak(images):
        rng = np.random.default_rng(0)
        stream = (rng.standard_normal((4, 12, 12, 40), dtype=np.float32) for _ in range(images // 4))
        tracemalloc.start()
        try:
            PaDiM(reduced_dims=20).fit(stream, images=images)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(32)
    few, many = peak(32), peak(128)
    assert many < few + 100_000
    assert 100_000 < 96 * 12 * 12 * 40 * 4 / 10


def test_memory_that_is_not_there_is_told_before_anything_is_computed(monkeypatch):
    """550 dimensions at 56 × 56 positions: 3.8 GB."""
    monkeypatch.setattr(_padim_memory, "available", lambda: 2_000_000_000)
    taken = []

    def stream():
        for _ in range(20):
            taken.append(1)
            yield np.zeros((1, 56, 56, 600), np.float32)

    with pytest.raises(ParameterError) as caught:
        PaDiM(reduced_dims=550).fit(stream())
    assert str(caught.value) == (
        "PaDiM keeps a covariance of 550 dimensions at each of 3136 positions, which takes 3.8 GB; 2.0 GB are free. "
        "Lower detector.reduced_dims or image_size, or set patch_stride=8."
    )
    assert len(taken) == 1


@pytest.mark.parametrize("available", [None, 10**9])
def test_memory_that_is_there_or_not_known(available, monkeypatch):
    monkeypatch.setattr(_padim_memory, "available", lambda: available)
    assert PaDiM().fit([embeddings(20)]).summary()["positions"] == 12


def test_an_image_scores_its_worst_patch_wherever_it_lies():
    detector = PaDiM().fit([embeddings(30)])
    test = embeddings(12, seed=1)
    for place in range(12):
        test[place, place // 4, place % 4] += 100
    scores = detector.score(test)
    assert scores.patches.reshape(12, -1).argmax(axis=1).tolist() == list(range(12))


def test_a_position_is_judged_by_its_own_gaussian():
    good = embeddings(30)
    good[:, 0, 0] += 50
    detector = PaDiM().fit([good])
    test = good[:1].copy()
    test[0, 2, 3] = good[0, 0, 0]
    patches = detector.score(test).patches[0]
    assert patches[2, 3] > 10 * patches[0, 0]


@pytest.mark.parametrize("key", ["channels", "mean", "cholesky"])
@pytest.mark.parametrize(
    "damage",
    [lambda a: a[:-1], lambda a: a[..., :-1], lambda a: a.astype(np.int64) if a.dtype.kind == "f" else -1 - a],
    ids=["shorter", "narrower", "of another kind"],
)
def test_state_that_does_not_fit_together(key, damage):
    state = PaDiM().fit([embeddings(20)]).state()
    state[key] = damage(state[key])
    with pytest.raises(ModelFileError, match="do not fit together; restore the model file"):
        PaDiM.from_state({}, state)
