"""Detectors that learn more images: against refits and plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.test_contract import FITTED, Recorder, assert_same_scores, assert_same_state, embeddings, fitted
from kizu import detectors
from kizu.detectors import Detector, _search
from kizu.detectors.padim import PaDiM
from kizu.detectors.patchcore import PatchCore
from kizu.errors import DataError, ModelFileError, NotFittedError, ParameterError
from reference.coreset import k_center_continued

OWN = [(name, given) for name, given in FITTED if name in ("ensemble", "patchcore", "padim")]
every_variant = pytest.mark.parametrize(("name", "parameters"), OWN)

NEW = embeddings(8, seed=3)
TEST = embeddings(9, seed=1)


def rows_of(images):
    return images.reshape(-1, images.shape[-1])


def nearest(rows, bank):
    return np.array([np.linalg.norm(bank - row, axis=1).min() for row in rows])


@every_variant
def test_the_detector_itself_stays_as_it_is(name, parameters):
    detector = fitted(name, parameters)
    before, scores = detector.state(), detector.score(TEST)
    other = detector.updated([NEW], leave_one_out=True)
    assert type(other) is type(detector)
    assert other.parameters() == detector.parameters()
    assert_same_state(detector.state(), before)
    assert_same_scores(detector.score(TEST), scores)
    assert not hasattr(detector, "left_out_")
    assert (other.score(TEST).patches != scores.patches).any()


@every_variant
def test_an_update_that_fails_leaves_it_too(name, parameters):
    detector = fitted(name, parameters)
    before = detector.state()
    damaged = NEW.copy()
    damaged[7, 0, 0, 0] = np.nan
    for nothing in ([], iter([]), [embeddings(0)]):
        with pytest.raises(DataError, match="good image"):
            detector.updated(nothing)
    with pytest.raises(DataError, match="NaN"):
        detector.updated(np.split(damaged, 4))
    assert_same_state(detector.state(), before)


@every_variant
@pytest.mark.parametrize("sizes", [[1] * 8, [3, 5], [0, 8]], ids=str)
def test_other_batches_give_the_same(name, parameters, sizes):
    parts = np.split(NEW, np.cumsum(sizes)[:-1])
    one = fitted(name, parameters).updated([NEW], leave_one_out=True)
    other = fitted(name, parameters).updated(parts, images=8, leave_one_out=True)
    assert_same_state(one.state(), other.state())
    assert_same_scores(one.left_out_, other.left_out_)


@every_variant
def test_a_detector_from_its_state_learns_the_same(name, parameters):
    detector = fitted(name, parameters)
    restored = detectors.restore(name, parameters, detector.state())
    one, other = detector.updated([NEW], leave_one_out=True), restored.updated([NEW], leave_one_out=True)
    assert_same_state(one.state(), other.state())
    assert_same_scores(one.left_out_, other.left_out_)
    again = detectors.restore(name, parameters, one.state()).updated([embeddings(2, seed=8)])
    assert_same_state(again.state(), one.updated([embeddings(2, seed=8)]).state())


@every_variant
def test_what_is_left_out_is_the_new(name, parameters):
    detector = fitted(name, parameters, leave_one_out=True)
    found = detector.updated([NEW], leave_one_out=True)
    assert found.left_out_.patches.shape == (8, 4, 5)
    assert (found.left_out_.patches > 0).any(axis=(1, 2)).all()
    assert not hasattr(found.updated([embeddings(2, seed=8)]), "left_out_")


@every_variant
def test_progress_is_told(name, parameters):
    recorder = Recorder()
    fitted(name, parameters).updated([NEW], progress=recorder, leave_one_out=True)
    assert len(recorder.stages) >= 2
    assert all(total in (0, made) for total, made in recorder.stages)


@pytest.mark.parametrize("name", ["ensemble", "patchcore", "padim"])
def test_not_fitted(name):
    with pytest.raises(NotFittedError, match=r"call fit\(\) first"):
        detectors.build(name, {}).updated([NEW])


def test_a_detector_that_does_not_say_how():
    class Other(PaDiM):
        name = "other"
        updated = Detector.updated

    with pytest.raises(ParameterError) as caught:
        Other().updated([NEW])
    assert str(caught.value) == (
        "the detector 'other' cannot learn more images: it does not say how. Fit again with all of them, or use a "
        "version of its package that offers `updated`."
    )


@pytest.mark.parametrize("ratio", [0.05, 0.3, 1.0])
def test_the_bank_goes_on_as_greedy_does(ratio):
    old = fitted("patchcore", {"coreset_ratio": ratio})
    new = old.updated([NEW])
    rows = rows_of(NEW)
    picks = np.sort(k_center_continued(rows, old.bank_, round(ratio * len(rows)), old.cover_radius_))
    np.testing.assert_array_equal(new.bank_, np.concatenate([old.bank_, rows[picks]]))
    np.testing.assert_array_equal(new.owners_, np.concatenate([old.owners_, 30 + picks // 20]))
    assert new.owners_.dtype == np.int32
    assert new.patches_ == 38 * 20
    assert len(picks) >= round(ratio * len(rows))


@pytest.mark.parametrize("parameters", [{"coreset_ratio": 0.05}, {"coreset_count": 40}, {"coreset_ratio": 1}])
@pytest.mark.parametrize("far", [0, 20])
def test_the_cover_radius_holds_for_old_and_new(parameters, far):
    old, new = fitted("patchcore", parameters), NEW + np.float32(far)
    found = old.updated([new])
    assert found.cover_radius_ == old.cover_radius_
    assert nearest(rows_of(embeddings(30)), found.bank_).max() <= found.cover_radius_ * (1 + 1e-6)
    assert nearest(rows_of(new), found.bank_).max() <= found.cover_radius_ * (1 + 1e-6)


@pytest.mark.parametrize("parameters", [{"coreset_ratio": 0.05}, {"coreset_count": 40, "reweight": True}])
def test_what_was_learnt_scores_no_more_than_asked(parameters):
    old = fitted("patchcore", parameters)
    assert (old.score(NEW).images > 1.5).any()
    assert (old.updated([NEW]).score(NEW).images > 1.5).any()
    found = old.updated([NEW], at_most=1.5)
    assert (found.score(NEW).images <= 1.5).all()
    assert found.cover_radius_ == old.cover_radius_
    assert_same_state(old.updated([NEW], at_most=1e9).state(), old.updated([NEW]).state())


def test_all_patches_kept_is_a_refit():
    found = fitted("patchcore", {"coreset_ratio": 1}).updated([NEW], leave_one_out=True)
    refit = fitted("patchcore", {"coreset_ratio": 1}, [embeddings(30), NEW], leave_one_out=True)
    assert_same_state(found.state(), refit.state())
    np.testing.assert_array_equal(found.left_out_.images, refit.left_out_.images[30:])
    np.testing.assert_array_equal(found.left_out_.patches, refit.left_out_.patches[30:])


@pytest.mark.parametrize("parameters", [{"coreset_ratio": 0.2}, {"coreset_count": 60, "neighbors": 3}])
@pytest.mark.parametrize("seed", range(5))
def test_no_score_rises(parameters, seed):
    old = fitted("patchcore", {"search": "exact", **parameters})
    new, test = old.updated([embeddings(8, seed=seed + 10)]), embeddings(20, seed=seed + 100)
    assert (new.score(test).patches <= old.score(test).patches).all()
    assert (new.score(test).images <= old.score(test).images).all()
    assert (new.score(test).images < old.score(test).images).any()


@pytest.mark.parametrize("parameters", [{"coreset_ratio": 0.3}, {"coreset_count": 150, "neighbors": 2}])
def test_left_out_is_about_what_an_update_without_it_gives(parameters):
    old = fitted("patchcore", {"search": "exact", **parameters})
    found = old.updated([NEW], leave_one_out=True)
    without = [old.updated([np.delete(NEW, place, 0)]).score(NEW[[place]]) for place in range(8)]
    np.testing.assert_allclose(found.left_out_.images, [one.images[0] for one in without], rtol=0.15)
    assert (found.left_out_.images > found.score(NEW).images).any()


@every_variant
def test_scores_that_never_get_higher_are_told(name, parameters):
    detector = fitted(name, parameters)
    assert detector.never_higher == (name in ("ensemble", "patchcore") and not parameters.get("reweight"))


def test_a_count_of_rows_grows_by_no_more_than_covering_takes():
    old = fitted("patchcore", {"coreset_count": 60})
    assert len(old.updated([embeddings(30)[:5]]).bank_) == 60
    rows = rows_of(NEW + np.float32(20))
    picks = k_center_continued(rows, old.bank_, 0, old.cover_radius_)
    assert len(old.updated([NEW + np.float32(20)]).bank_) == 60 + len(picks) > 60


@pytest.mark.parametrize("given", [{"projection_dim": 2}, {"projection": "sparse", "projection_eps": 0.99}])
def test_selection_goes_on_in_the_projection_of_the_fit(given):
    good, new = (np.random.default_rng(seed).normal(size=(6, 4, 5, 200)).astype(np.float32) for seed in (0, 1))
    old = PatchCore(coreset_ratio=0.2, **given).fit([good])
    assert old.projection_ is not None
    rows, centres = rows_of(new) @ old.projection_, old.bank_ @ old.projection_
    picks = np.sort(k_center_continued(rows, centres, 24, old.cover_radius_))
    found = PatchCore.from_state(old.parameters(), old.state()).updated([new])
    np.testing.assert_array_equal(found.bank_, np.concatenate([old.bank_, rows_of(new)[picks]]))
    state = old.state()
    del state["projection"]
    with pytest.raises(ModelFileError, match=r"does not hold the projection .* fit again with all images\."):
        PatchCore.from_state(old.parameters(), state).updated([new])


def test_a_projection_that_does_not_fit_is_refused():
    state = fitted("patchcore", {"projection_dim": 2}).state()
    with pytest.raises(ModelFileError, match="projection does not fit the memory bank; restore"):
        PatchCore.from_state({"projection_dim": 2}, {**state, "projection": state["projection"][:-1]})


def test_a_bank_of_schemas_1_and_2_is_updated_too():
    old = fitted("patchcore", {"coreset_ratio": 0.1})
    state = {key: array for key, array in old.state().items() if key not in ("owners", "patches")}
    found = PatchCore.from_state({"coreset_ratio": 0.1}, state).updated([NEW], leave_one_out=True)
    expected = old.updated([NEW], leave_one_out=True)
    np.testing.assert_array_equal(found.bank_, expected.bank_)
    np.testing.assert_array_equal(found.owners_[60:], expected.owners_[60:])
    assert_same_scores(found.left_out_, expected.left_out_)


def test_search_becomes_approximate_once_that_is_worth_it(monkeypatch):
    monkeypatch.setattr(_search, "APPROXIMATE_FROM", 64)
    old = fitted("patchcore", {"coreset_ratio": 0.1})
    assert old.summary()["search"] == "exact"
    found = old.updated([NEW])
    assert found.summary()["search"] == "approximate"
    assert len(found.state()["levels"]) == len(found.bank_) == 76
    assert old.updated([NEW[:1]]).summary()["search"] == "exact"


def gaussian_images(images, seed=0):
    mixing = np.random.default_rng(99).standard_normal((6, 6))
    return (np.random.default_rng(seed).standard_normal((images, 3, 4, 6)) @ mixing + 3).astype(np.float32)


@pytest.mark.parametrize("parameters", [{}, {"reduced_dims": 4}, {"regularisation": 2.0}])
@pytest.mark.parametrize("cuts", [[30], [8, 9, 25], [2]])
@pytest.mark.filterwarnings("ignore:PaDiM fits")
def test_padim_is_what_a_refit_is(parameters, cuts):
    good, test = gaussian_images(60), gaussian_images(9, seed=1)
    first, *parts = np.split(good, cuts)
    found = PaDiM(**parameters).fit([first])
    for part in parts:
        found = found.updated([part], leave_one_out=True)
    refit = PaDiM(**parameters).fit([good], leave_one_out=True)
    assert found.count_ == refit.count_ == 60
    np.testing.assert_array_equal(found.channels_, refit.channels_)
    np.testing.assert_allclose(found.mean_, refit.mean_, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.score(test).patches, refit.score(test).patches, rtol=1e-4)
    np.testing.assert_allclose(found.left_out_.images, refit.left_out_.images[-len(parts[-1]) :], rtol=1e-4)


def test_padim_is_a_refit_bit_for_bit_where_float32_holds_the_sums():
    first = np.broadcast_to(np.arange(72, dtype=np.float32).reshape(3, 4, 6), (16, 3, 4, 6))
    rest = gaussian_images(20)
    found = PaDiM(regularisation=4.0).fit([first]).updated([rest])
    assert_same_state(found.state(), PaDiM(regularisation=4.0).fit([first, rest]).state())


def test_padim_of_schemas_1_and_2_cannot_be_updated():
    state = PaDiM().fit([gaussian_images(20)]).state()
    del state["count"]
    with pytest.raises(ModelFileError, match=r"does not say how many images .* fit again with all images\."):
        PaDiM.from_state({}, state).updated([gaussian_images(3)])


def test_means_of_fewer_rows_than_wanted_may_rise():
    rng = np.random.default_rng(0)
    few, new, test = (rng.standard_normal((count, 1, 1, 1)).astype(np.float32) for count in (2, 3, 50))
    old = PatchCore(coreset_ratio=0.3, neighbors=3).fit([few])
    assert (old.updated([new]).score(test).images > old.score(test).images).any()
    assert not old.never_higher


@pytest.mark.parametrize("at_most", [0.0, -1.0])
def test_no_row_is_picked_twice_whatever_is_wanted(at_most):
    found = fitted("patchcore", {"coreset_ratio": 0.1}).updated([NEW], at_most=at_most)
    assert len(np.unique(found.bank_, axis=0)) == len(found.bank_)


@every_variant
def test_a_refit_forgets_what_was_left_out(name, parameters):
    detector = fitted(name, parameters, leave_one_out=True)
    detector.fit([embeddings(30)])
    assert not hasattr(detector, "left_out_")
