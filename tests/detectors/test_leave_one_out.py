"""Scores of images left out, against fits without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kizu import detectors
from kizu.detectors import Scores
from kizu.detectors._bank import Bank, Learnt
from kizu.detectors._leave_one_out import prepared_to_leave_out
from kizu.detectors._patches import gathered
from kizu.detectors.patchcore import PatchCore
from kizu.errors import DataError
from kizu.progress import Silent

GRID, CHANNELS = (4, 5), 6

REFITS = [
    ("patchcore", {"coreset_ratio": 1.0}),
    ("patchcore", {"coreset_ratio": 1.0, "search": "approximate"}),
    ("patchcore", {"coreset_ratio": 1.0, "neighbors": 3}),
    ("patchcore", {"coreset_ratio": 1.0, "reweight": True, "reweight_neighbors": 4}),
    ("patchcore", {"coreset_ratio": 1.0, "reweight": "walkthrough", "reweight_neighbors": 4, "neighbors": 2}),
    ("padim", {}),
    ("padim", {"reduced_dims": 3, "regularisation": 0.5}),
]
"""Where leaving out is the same as fitting without."""


def embeddings(images: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    made = rng.standard_normal((images, *GRID, CHANNELS), dtype=np.float32) + 2
    return made * rng.uniform(0.5, 2, (images, 1, 1, 1)).astype(np.float32)  # some images are odder than others


def left_out(name: str, parameters: dict, batches: list[np.ndarray]) -> Scores:
    detector = detectors.build(name, parameters)
    rng = np.random.default_rng(0)
    return detector.fit(batches, rng=rng, leave_one_out=True).left_out_  # type: ignore[call-arg, attr-defined]


def refitted(name: str, parameters: dict, images: np.ndarray) -> Scores:
    """Each image by a fit on the others."""
    found = []
    for place in range(len(images)):
        detector = detectors.build(name, parameters)
        detector.fit([np.delete(images, place, axis=0)], rng=np.random.default_rng(0))
        found.append(detector.score(images[place : place + 1]))
    return Scores(np.concatenate([f.patches for f in found]), np.concatenate([f.images for f in found]))


@pytest.mark.filterwarnings("ignore:PaDiM fits:kizu.KizuWarning")
@pytest.mark.parametrize(("name", "parameters"), REFITS)
@pytest.mark.parametrize("count", [3, 25])
def test_leaving_out_is_fitting_without(name: str, parameters: dict, count: int) -> None:
    images = embeddings(count)
    found, truth = left_out(name, parameters, [images]), refitted(name, parameters, images)
    np.testing.assert_allclose(found.images, truth.images, rtol=1e-5)
    if parameters.get("search") != "approximate":
        np.testing.assert_allclose(found.patches, truth.patches, rtol=1e-5)


@pytest.mark.parametrize("parameters", [{}, {"neighbors": 3}, {"search": "approximate"}])
def test_of_images_whose_patches_are_most_like_their_own(parameters: dict) -> None:
    """All the rows that are looked up may be the image's own: then those of the others are looked for, for each."""
    images = embeddings(8) + 20 * np.random.default_rng(1).standard_normal((8, 1, 1, CHANNELS), dtype=np.float32)
    given = {"coreset_ratio": 1.0, **parameters}
    found, truth = left_out("patchcore", given, [images]), refitted("patchcore", given, images)
    np.testing.assert_allclose(found.images, truth.images, rtol=1e-5)
    if parameters.get("search") != "approximate":
        np.testing.assert_allclose(found.patches, truth.patches, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:PaDiM fits:kizu.KizuWarning")
@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_batches_do_not_matter(name: str) -> None:
    images = embeddings(20)
    whole, single = left_out(name, {}, [images]), left_out(name, {}, list(images[:, None]))
    np.testing.assert_array_equal(whole.patches, single.patches)
    np.testing.assert_array_equal(whole.images, single.images)


@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_the_fit_is_the_same(name: str) -> None:
    images = embeddings(120)
    plain = detectors.build(name, {}).fit([images]).state()
    also = detectors.build(name, {}).fit([images], leave_one_out=True).state()  # type: ignore[call-arg]
    assert plain.keys() == also.keys()
    for key in plain:
        np.testing.assert_array_equal(plain[key], also[key])


@pytest.mark.parametrize(("name", "images"), [("patchcore", 1), ("padim", 2)])
def test_nothing_is_left_without_the_only_one(name: str, images: int) -> None:
    parameters = {"reduced_dims": 1} if name == "padim" else {}
    with pytest.raises(DataError, match=f"leaving one image out needs at least {images + 1} good images; add images"):
        left_out(name, parameters, [embeddings(images)])


def test_padim_reads_twice() -> None:
    with pytest.raises(ValueError, match="reads embeddings twice; 30 came first, then 0"):
        left_out("padim", {"reduced_dims": 3}, iter([embeddings(30)]))  # type: ignore[arg-type]


def parts(count: int, seed: int) -> np.ndarray:
    """Images whose patches lie on a curved surface, with some rare patches: what a coreset is for."""
    rng = np.random.default_rng(seed)
    angles = rng.uniform(0, 2, (count, 8, 8, 2))
    rare = rng.random((count, 8, 8, 1)) < 0.01
    points = np.concatenate([np.sin(3 * angles), np.cos(2 * angles), angles], axis=-1)
    points += rng.normal(0, 0.05, points.shape) + rare * rng.normal(0, 1.0, points.shape)
    return points.astype(np.float32)


@pytest.mark.parametrize("parameters", [{"coreset_ratio": 0.1}, {"coreset_ratio": 0.1, "projection_dim": 4}])
def test_with_a_coreset_scores_follow_those_of_refits(parameters: dict) -> None:
    """Neither too low, as against the bank as it is, nor too high, as with the image's own rows dropped alone."""
    images = parts(60, seed=1)
    found = left_out("patchcore", parameters, [images]).images
    truth = refitted("patchcore", parameters, images).images
    detector = detectors.build("patchcore", parameters).fit([images], rng=np.random.default_rng(0))
    own, dropped = detector.score(images).images, []
    for place, image in enumerate(images):
        rest = detector.bank_[detector.owners_ != place]  # type: ignore[attr-defined]
        dropped.append(np.linalg.norm(image.reshape(-1, 1, 6) - rest, axis=2).min(axis=1).max())
    errors = [abs(float((scores / truth).mean()) - 1) for scores in (found, own, np.array(dropped))]
    assert errors[0] < 0.04
    assert errors[0] < errors[1] / 2
    if "projection_dim" not in parameters:
        assert errors[0] < errors[2]


def test_in_a_projection_what_is_covered_is_so_by_plain_distance() -> None:
    """Within the largest distance of a patch to the bank, not within the radius the projection knows."""
    rows, grids = gathered([parts(20, seed=1)], None)
    bank = PatchCore(coreset_ratio=0.1, projection_dim=4).fit([parts(20, seed=1)])._bank
    plain = replace(bank, projection=None)

    def picked(bank: Bank, radius: float) -> list[np.ndarray]:
        (ready,) = prepared_to_leave_out([Learnt(bank, rows, grids, 0, radius)], 1, Silent())
        assert ready.stand_ins is not None
        return list(ready.stand_ins.rows)

    found = picked(bank, bank.cover_radius)
    for one, other in zip(found, picked(plain, float(bank.search.search(rows, 1)[0].max())), strict=True):
        np.testing.assert_array_equal(one, other)
    assert sum(map(len, found)) != sum(map(len, picked(plain, bank.cover_radius)))


def test_a_bank_of_one_row_leaves_stand_ins() -> None:
    """The image that owns the only row is scored by patches of the others, which are as they would be picked."""
    images = embeddings(6)
    found = left_out("patchcore", {"coreset_count": 1}, [images])
    assert np.isfinite(found.patches).all()
    assert (found.images > 0).all()


def test_left_out_scores_are_never_below_full_conformal_prediction() -> None:
    """With the whole bank: adding one more image to the others can only lower a score, which proves the promise."""
    images = embeddings(12)
    without = left_out("patchcore", {"coreset_ratio": 1.0}, [images[:-1]]).images
    with_it = left_out("patchcore", {"coreset_ratio": 1.0}, [images]).images[:-1]
    assert (without >= with_it * (1 - 1e-6)).all()
    assert (without > with_it * (1 + 1e-6)).any()


@pytest.mark.filterwarnings("ignore:PaDiM fits:kizu.KizuWarning")
@pytest.mark.parametrize(("count", "dimensions"), [(12, 16), (20, 20), (17, 16), (18, 16), (19, 16), (40, 100)])
@pytest.mark.parametrize("spread", [1, 300, 3000])
def test_scores_left_out_are_not_cut_off_by_rounding(count: int, dimensions: int, spread: float) -> None:
    """Where the others hardly span the dimensions, an image left out is far away, and each by its own measure."""
    images = np.random.default_rng(4).standard_normal((count, 2, 1, dimensions), dtype=np.float32) * spread
    found, truth = left_out("padim", {}, [images]), refitted("padim", {}, images)
    np.testing.assert_allclose(found.patches, truth.patches, rtol=1e-3)
