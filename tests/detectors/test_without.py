"""Images left out of a fit later, to be scored whole: against scores left out at once, and against a refit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from kizu.detectors._bank import StandIns
from kizu.detectors.ensemble import Ensemble
from kizu.detectors.padim import PaDiM
from kizu.detectors.patchcore import PatchCore
from kizu.errors import DataError, NotFittedError

GRID, CHANNELS = (6, 7), 5


def images(count: int, seed: int = 0) -> list[np.ndarray]:
    """Each ``(1, 6, 7, 5)``, and a little different as a whole."""
    rng = np.random.default_rng(seed)
    shifts = rng.normal(0, 0.5, (count, 1, 1, 1, CHANNELS))
    return list((rng.normal(size=(count, 1, *GRID, CHANNELS)) + shifts).astype(np.float32))


@pytest.mark.parametrize(
    "parameters",
    [
        {"coreset_ratio": 0.3},
        {"coreset_ratio": 0.3, "search": "approximate"},
        {"coreset_ratio": 0.2, "neighbors": 3, "reweight": True, "reweight_neighbors": 4},
        {"coreset_ratio": 0.2, "projection_dim": 3},
        {"coreset_ratio": 1.0},
    ],
)
def test_whole_images_score_as_if_left_out_at_once(parameters: dict[str, Any]) -> None:
    given = images(12)
    at_once = PatchCore(**parameters).fit(given, leave_one_out=True).left_out_
    later = PatchCore(**parameters).fit(given, leave_one_out=True, later=True)
    for number, image in enumerate(given):
        found = later.without(number).score(image)
        np.testing.assert_allclose(found.images, at_once.images[[number]], rtol=1e-5)
        if parameters.get("search") != "approximate":
            np.testing.assert_allclose(found.patches, at_once.patches[[number]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("neighbors", [1, 3])
def test_each_patch_is_compared_with_the_rows_of_others_and_the_stand_ins(neighbors: int) -> None:
    given = images(12)
    detector = PatchCore(coreset_ratio=0.2, neighbors=neighbors).fit(given, leave_one_out=True, later=True)
    assert detector._bank.stand_ins is not None
    at_once = PatchCore(coreset_ratio=0.2, neighbors=neighbors).fit(given, leave_one_out=True).left_out_
    for number, image in enumerate(given):
        rest = [detector.bank_[detector.owners_ != number], detector._bank.stand_ins.rows[number]]
        apart = np.linalg.norm(image.reshape(-1, 1, CHANNELS) - np.concatenate(rest), axis=2)
        expected = np.sort(apart, axis=1)[:, :neighbors].mean(axis=1).reshape(1, *GRID)
        for found in (detector.without(number).score(image).patches, at_once.patches[[number]]):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("neighbors", [1, 3])
def test_patches_whose_rows_looked_up_are_all_their_own_are_searched_beside_the_stand_ins(neighbors: int) -> None:
    """A strange image owns most rows around its patches, and stand-ins of other images lie far from these."""
    rng, with_stand_ins = np.random.default_rng(0), 0
    for _ in range(40):
        given = rng.normal(size=(5, 1, *GRID, 2)).astype(np.float32)
        given[0] *= rng.uniform(2, 6)
        parameters: dict[str, Any] = {"coreset_ratio": rng.uniform(0.2, 0.7), "neighbors": neighbors}
        at_once = PatchCore(**parameters).fit(list(given), leave_one_out=True).left_out_
        detector = PatchCore(**parameters).fit(list(given), leave_one_out=True, later=True)
        assert detector._bank.stand_ins is not None
        added = detector._bank.stand_ins.rows[0]
        with_stand_ins += len(added) > 0
        apart = cdist(given[0].reshape(-1, 2), np.concatenate([detector.bank_[detector.owners_ != 0], added]))
        expected = np.sort(apart, axis=1)[:, :neighbors].mean(axis=1).reshape(1, *GRID)
        for found in (detector.without(0).score(given[0]).patches, at_once.patches[[0]]):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert with_stand_ins > 10


def test_the_weight_of_an_image_is_that_among_the_rows_of_others_and_the_stand_ins() -> None:
    """Equation 7 of the paper; in some images the nearest row is a stand-in."""
    given = images(12)
    detector = PatchCore(coreset_ratio=0.1, reweight=True, reweight_neighbors=4)
    detector.fit(given, leave_one_out=True, later=True)
    assert detector._bank.stand_ins is not None
    by_stand_in = 0
    for number, image in enumerate(given):
        others = detector.bank_[detector.owners_ != number]
        rows = np.concatenate([others, detector._bank.stand_ins.rows[number]]).astype(np.float64)
        apart = np.linalg.norm(image.reshape(-1, 1, CHANNELS) - rows, axis=2)
        top = apart[apart.min(axis=1).argmax()]
        by_stand_in += top.argmin() >= len(others)
        around = np.linalg.norm(rows - rows[top.argmin()], axis=1).argsort()[:4]
        expected = (1 - np.exp(top.min()) / np.exp(top[around]).sum()) * top.min()
        assert detector.without(number).score(image).images[0] == pytest.approx(expected, rel=1e-4)
    assert by_stand_in


PARTS = [[0, 3], [2, 5]]


@pytest.mark.parametrize(
    "parameters", [{"coreset_ratio": 0.3}, {"coreset_ratio": 0.3, "search": "approximate"}, {"coreset_ratio": 1.0}]
)
def test_those_of_an_ensemble_too(parameters: dict[str, Any]) -> None:
    given = images(12)
    at_once = Ensemble(parts=PARTS, **parameters).fit(given, leave_one_out=True).left_out_
    later = Ensemble(parts=PARTS, **parameters).fit(given, leave_one_out=True, later=True)
    assert not hasattr(later, "left_out_")
    for number, image in enumerate(given):
        found = later.without(number).score(image)
        np.testing.assert_allclose(found.images, at_once.images[[number]], rtol=1e-5)
        if parameters.get("search") != "approximate":
            np.testing.assert_allclose(found.patches, at_once.patches[[number]], rtol=1e-4, atol=1e-5)


def test_an_ensemble_of_images_of_different_sizes_and_its_update() -> None:
    """With every patch kept, the distance in each part is that to the others' patches; the scales stay."""
    old, new = ([one[:, :, : 3 + n % 3] for n, one in enumerate(images(6, seed))] for seed in (0, 1))
    detector = Ensemble(parts=PARTS, coreset_ratio=1.0).fit(old, leave_one_out=True, later=True)
    updated = detector.updated(new, leave_one_out=True, later=True)
    for number in range(6):
        for fitted, learnt, kept in ((detector, old, []), (updated, new, old)):
            others = [one for n, one in enumerate(learnt) if n != number]
            rows = np.concatenate([one.reshape(-1, CHANNELS) for one in [*kept, *others]])
            queries = learnt[number].reshape(-1, CHANNELS)
            total = np.zeros(len(queries))
            for (first, stop), scale in zip(PARTS, detector.scales_, strict=True):
                differences = queries[:, None, first:stop] - rows[None, :, first:stop]
                total += np.square(np.linalg.norm(differences, axis=2).min(axis=1) / scale)
            found = fitted.without(number).score(learnt[number])
            np.testing.assert_allclose(found.patches.ravel(), np.sqrt(total / 2), rtol=1e-4, atol=1e-5)
            assert found.images[0] == found.patches.max()


def test_of_a_whole_bank_it_is_a_refit_without_the_image() -> None:
    """Of a fit on parts too: those of the others are all it knows."""
    whole = images(6)
    parts = [image[:, : 3 + number % 3] for number, image in enumerate(whole)]
    detector = PatchCore(coreset_ratio=1.0).fit(parts, leave_one_out=True, later=True)
    for number, image in enumerate(whole):
        refit = PatchCore(coreset_ratio=1.0).fit([part for n, part in enumerate(parts) if n != number])
        np.testing.assert_allclose(
            detector.without(number).score(image).patches, refit.score(image).patches, rtol=1e-4, atol=1e-5
        )


def test_stand_ins_take_the_place_of_what_an_image_gave() -> None:
    given = images(10)
    detector = PatchCore(coreset_ratio=0.3).fit(given, leave_one_out=True, later=True)
    own = detector.without(4).score(given[4]).images[0]
    assert own > detector.score(given[4]).images[0]
    missing = PatchCore(coreset_ratio=0.3).fit(given, leave_one_out=True, later=True)
    nothing = StandIns(0, [rows[:0] for rows in missing._bank.stand_ins.rows])
    missing = missing.holding(replace(missing._bank, stand_ins=nothing))
    totals = [
        sum(one.without(n).score(image).patches.sum() for n, image in enumerate(given)) for one in (detector, missing)
    ]
    assert totals[0] < totals[1]


def test_after_an_update_the_new_images_can_be_left_out() -> None:
    old, new = images(6), images(3, seed=1)
    detector = PatchCore(coreset_ratio=1.0).fit(old)
    updated = detector.updated(new, leave_one_out=True, later=True)
    for number, image in enumerate(new):
        refit = PatchCore(coreset_ratio=1.0).fit([*old, *(one for n, one in enumerate(new) if n != number)])
        np.testing.assert_allclose(
            updated.without(number).score(image).patches, refit.score(image).patches, rtol=1e-4, atol=1e-5
        )


def test_images_of_different_sizes_have_their_own_rows() -> None:
    given = [image[:, : 2 + number] for number, image in enumerate(images(4))]
    detector = PatchCore(coreset_ratio=1.0).fit(given)
    assert np.bincount(detector.owners_).tolist() == [14, 21, 28, 35]
    np.testing.assert_array_equal(detector.bank_, np.concatenate([one.reshape(-1, CHANNELS) for one in given]))


def test_where_positions_count_sizes_must_not_differ() -> None:
    given = [images(1)[0], images(1)[0][:, :4]]
    with pytest.raises(DataError, match=r"grids of 7 x (4|6) and of 7 x (4|6) patches"):
        PatchCore(coreset_ratio=1.0).fit(given, leave_one_out=True)
    with pytest.raises(DataError, match="Give images of one size"):
        PaDiM().fit(given)
    fitted = PaDiM().fit(images(20))
    for use in (fitted.score, lambda image: fitted.updated([image])):
        with pytest.raises(DataError, match="grids of 7 x 6 and of 7 x 4 patches"):
            use(given[1])


def test_only_what_was_prepared_can_be_left_out() -> None:
    for detector in (
        PatchCore(coreset_ratio=0.5).fit(images(3)),
        PaDiM().fit(images(20)),
        Ensemble().fit(images(3)),
    ):
        with pytest.raises(NotFittedError, match="not fitted to leave images out"):
            detector.without(0)
    prepared = PatchCore(coreset_ratio=0.5).fit(images(3), leave_one_out=True, later=True)
    with pytest.raises(NotFittedError, match="not fitted to leave images out"):
        prepared.updated(images(1, seed=5)).without(0)
    alone = prepared.without(0)
    for use in (lambda: alone.without(1), alone.state, lambda: alone.updated(images(1))):
        with pytest.raises(NotFittedError, match="which can only score"):
            use()


@pytest.mark.parametrize("kind", [PatchCore, Ensemble])
def test_a_refit_cannot_leave_out_what_was_prepared_before(kind: type[PatchCore | Ensemble]) -> None:
    detector = kind(coreset_ratio=0.5).fit(images(3), leave_one_out=True, later=True)
    detector.without(0)
    with pytest.raises(NotFittedError, match="not fitted to leave images out"):
        detector.fit(images(4, seed=1)).without(0)


@pytest.mark.parametrize("kind", [PatchCore, Ensemble])
@pytest.mark.parametrize("one_row", [False, True])
def test_graphs_are_searched_image_by_image_whatever_their_grids(
    kind: type[PatchCore | Ensemble], one_row: bool
) -> None:
    """Images of different sizes, and patches of an area, in one row: measured so, and found nearly exactly."""
    given = [np.repeat(np.repeat(one, 2, 1), 2 + n % 3, 2) for n, one in enumerate(images(40))]
    given = [one + np.float32(0.1) * np.random.default_rng(n).normal(size=one.shape) for n, one in enumerate(given)]
    given = [one.astype(np.float32) for one in given]
    given = [one.reshape(1, 1, -1, CHANNELS) for one in given] if one_row else given
    detector = kind(coreset_ratio=0.2, search="approximate").fit(given)
    assert detector.summary()["search"] == "approximate"
    assert float(detector.summary()["search error"]) <= 0.01
    found = [detector.score(one) for one in given]
    detector.search_exactly()
    for one, image in zip(found, given, strict=True):
        exact = detector.score(image)
        np.testing.assert_allclose(one.images, exact.images, rtol=1e-5)
        assert one.patches.sum() <= 1.05 * exact.patches.sum()


@pytest.mark.parametrize("kind", [PatchCore, Ensemble])
def test_a_search_without_an_image_stays_so(kind: type[PatchCore | Ensemble]) -> None:
    """Searching all rows exactly would bring the image back."""
    detector = kind(coreset_ratio=0.2).fit(images(6), leave_one_out=True, later=True).without(2)
    with pytest.raises(NotFittedError, match="an image is left out"):
        detector.search_exactly()
