"""What holds for every registered detector."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import get_type_hints

import numpy as np
import pytest

from kizu import detectors
from kizu.detectors import Scores
from kizu.errors import DataError, ModelFileError, NotFittedError, ParameterError

GRID, CHANNELS = (4, 5), 6

VARIANTS = {
    "patchcore": [
        {"coreset_ratio": 0.5},
        {"coreset_count": 60, "neighbors": 3, "reweight": True, "reweight_neighbors": 4},
        {"coreset_count": 200, "search": "approximate"},
        {"coreset_ratio": 0.2, "projection_dim": 4},
        {"coreset_ratio": 0.2, "projection": "sparse", "projection_eps": 0.9, "coreset_start": "first"},
        {"coreset_count": 90, "reweight": "walkthrough", "reweight_neighbors": 5, "search": "approximate"},
        {"coreset_ratio": 0.5, "robust": True},
    ],
    "ensemble": [
        {"coreset_ratio": 0.5},
        {"parts": [[0, 4], [2, 6]], "coreset_ratio": 0.2},
        {"parts": [[0, 2], [2, 3], [1, 6]], "coreset_ratio": 0.3, "search": "approximate"},
        {"parts": [[0, 3], [3, 6]], "coreset_ratio": 0.5, "robust": True},
    ],
    "padim": [{}, {"reduced_dims": 3, "regularisation": 0.5}, {"robust": True}],
}
"""Parameters to try besides the defaults; a detector without an entry is tried with its defaults alone."""

FITTED = [(name, given) for name in detectors.names() for given in [{}, *VARIANTS.get(name, [])]]

every_name = pytest.mark.parametrize("name", detectors.names())
kizus_own = pytest.mark.parametrize(("name", "parameters"), [one for one in FITTED if one[0] in VARIANTS])
every_variant = pytest.mark.parametrize(("name", "parameters"), FITTED)


def embeddings(images, seed=0):
    """Read-only, ``(n, h, w, D)``."""
    made = np.random.default_rng(seed).standard_normal((images, *GRID, CHANNELS), dtype=np.float32) + 2
    made.setflags(write=False)
    return made


def fitted(name, parameters, batches=None, **options):
    return detectors.build(name, parameters).fit([embeddings(30)] if batches is None else batches, **options)


def assert_same_state(one, other):
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], other[key], err_msg=key)


def assert_same_scores(one, other):
    np.testing.assert_array_equal(one.patches, other.patches)
    np.testing.assert_array_equal(one.images, other.images)


class Recorder:
    """A `Progress` that notes every stage as (total, steps made)."""

    def __init__(self):
        self.stages = []

    @contextmanager
    def stage(self, description, total):
        assert description
        steps = []
        yield lambda n=1: steps.append(n)
        self.stages.append((total, sum(steps)))


def test_kizus_own_are_all_tried():
    assert {"ensemble", "padim", "patchcore"} <= {name for name, _ in FITTED}


@every_name
def test_parameters_are_stored_and_nothing_else(name):
    cls = detectors.detector_class(name)
    given = {parameter: object() for parameter in cls.defaults()}
    detector = cls(**given)
    assert vars(detector) == given
    assert detector.parameters() == given
    assert cls().parameters() == cls.defaults()
    assert cls.name == name
    assert cls.min_images >= 1
    with pytest.raises(TypeError):
        cls(*given.values())


@every_name
def test_an_unknown_parameter_names_the_nearest(name):
    for known in detectors.detector_class(name).defaults():
        misspelt = known[:-1] + "xq"
        with pytest.raises(ParameterError, match=f"unknown parameter of {name} '{misspelt}'.*'{known}'.*Known: "):
            detectors.build(name, {misspelt: 1})
        with pytest.raises(ParameterError, match=f"unknown parameter of {name} '{misspelt}'"):
            detectors.restore(name, {misspelt: 1}, {})


def hinted(name, *types):
    """The parameters of a detector that may hold one of ``types``."""
    hints = get_type_hints(detectors.detector_class(name).__init__)
    hints.pop("return", None)
    return [key for key, hint in hints.items() if {hint, *getattr(hint, "__args__", ())} & set(types)]


def assert_refused(name, parameter, value):
    with pytest.raises(ParameterError) as caught:
        detectors.build(name, {parameter: value})
    text = str(caught.value)
    assert text.startswith(f"`{parameter}` must be ")
    assert f"; got {value!r}." in text
    assert "\n" not in text


NO_NUMBERS = [float("nan"), float("inf"), float("-inf"), True, "3", "", [1], 0, -1, -(10**400), complex(1)]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=str)
@every_name
def test_numbers_are_checked(name, value):
    assert hinted(name, int, float)
    for parameter in hinted(name, int, float):
        assert_refused(name, parameter, value)


@every_name
def test_other_parameters_are_checked(name):
    for parameter in hinted(name, int):
        assert_refused(name, parameter, 2.5)
    for parameter in hinted(name, float):
        assert_refused(name, parameter, 10**400)
    for parameter in hinted(name, bool):
        for value in (1, 0, "true", None):
            assert_refused(name, parameter, value)
    for parameter in hinted(name, str):
        for value in ("nonsense", 3, None, ["a"]):
            assert_refused(name, parameter, value)
    defaults = detectors.detector_class(name).defaults()
    for parameter in (key for key, value in defaults.items() if value is not None):
        assert_refused(name, parameter, None)


@every_name
def test_defaults_pass_and_fit_checks_again(name):
    detector = detectors.build(name, {})
    parameter = hinted(name, int, float)[0]
    setattr(detector, parameter, float("nan"))
    with pytest.raises(ParameterError, match=f"`{parameter}` must be"):
        detector.fit([embeddings(30)])


@every_name
def test_not_fitted(name):
    detector = detectors.build(name, {})
    for use in (lambda: detector.score(embeddings(1)), detector.state, detector.summary):
        with pytest.raises(NotFittedError, match=r"has not been fitted; call fit\(\) first"):
            use()


@every_variant
def test_scores_have_their_shapes(name, parameters):
    detector = fitted(name, parameters)
    for images in (0, 1, 7):
        scores = detector.score(embeddings(images, seed=1))
        assert scores.patches.shape == (images, *GRID)
        assert scores.images.shape == (images,)
        assert scores.patches.dtype == scores.images.dtype == np.float32
        assert (scores.patches >= 0).all()
        assert (scores.images >= 0).all()


@every_variant
def test_flaws_score_higher(name, parameters):
    test = np.array(embeddings(2, seed=1))
    test[1, 2, 3] += 30
    scores = fitted(name, parameters).score(test)
    assert scores.images[1] > 2 * scores.images[0]
    assert np.unravel_index(scores.patches[1].argmax(), GRID) == (2, 3)


@every_variant
def test_scores_do_not_depend_on_the_batch(name, parameters):
    detector, test = fitted(name, parameters), embeddings(24, seed=1)
    together = detector.score(test)
    for size in (1, 17):
        parts = [detector.score(test[first : first + size]) for first in range(0, 24, size)]
        np.testing.assert_array_equal(np.concatenate([p.patches for p in parts]), together.patches)
        np.testing.assert_array_equal(np.concatenate([p.images for p in parts]), together.images)


@every_variant
def test_a_refit_overwrites(name, parameters):
    other = embeddings(33, seed=5)
    refitted = fitted(name, parameters).fit([other])
    assert_same_state(refitted.state(), fitted(name, parameters, [other]).state())
    test = embeddings(3, seed=1)
    assert_same_scores(refitted.score(test), fitted(name, parameters, [other]).score(test))


@every_variant
def test_a_refit_that_fails_leaves_the_detector_as_it_was(name, parameters):
    detector, test = fitted(name, parameters), embeddings(3, seed=1)
    before = detector.score(test)
    too_few = detector.min_images - 1
    with pytest.raises(DataError):
        detector.fit([embeddings(too_few)] if too_few else [], rng=np.random.default_rng(99))
    assert_same_scores(detector.score(test), before)


@every_variant
def test_the_same_seed_gives_the_same_fit(name, parameters):
    one, other = (fitted(name, parameters, rng=np.random.default_rng(7)) for _ in range(2))
    assert_same_state(one.state(), other.state())
    default, zero = fitted(name, parameters), fitted(name, parameters, rng=np.random.default_rng(0))
    assert_same_state(default.state(), zero.state())


@every_variant
@pytest.mark.parametrize("sizes", [[1] * 30, [5, 5, 20], [29, 1], [16, 14], [0, 30]], ids=str)
def test_the_same_embeddings_in_other_batches_give_the_same_fit(name, parameters, sizes):
    parts = np.split(embeddings(30), np.cumsum(sizes)[:-1])
    assert [len(part) for part in parts] == sizes
    assert_same_state(fitted(name, parameters, parts).state(), fitted(name, parameters).state())


@every_variant
def test_embeddings_are_taken_once(name, parameters):
    taken = []

    def stream():
        for number, part in enumerate(np.split(embeddings(30), 6)):
            taken.append(number)
            yield part

    found = fitted(name, parameters, stream())
    assert taken == list(range(6))
    assert_same_state(found.state(), fitted(name, parameters).state())


@every_variant
@pytest.mark.parametrize("images", [None, 1, 29, 30, 31, 500])
def test_a_wrong_number_of_images_is_harmless(name, parameters, images):
    found = fitted(name, parameters, np.split(embeddings(30), 6), images=images)
    assert_same_state(found.state(), fitted(name, parameters).state())


@every_name
@pytest.mark.parametrize("images", [None, 10])
def test_no_embeddings(name, images):
    for nothing in ([], iter(()), [embeddings(0)]):
        with pytest.raises(DataError, match="good image"):
            fitted(name, {}, nothing, images=images)


@every_name
def test_fewer_images_than_needed(name):
    needed = detectors.detector_class(name).min_images
    with pytest.raises(DataError, match="good image"):
        fitted(name, {}, [embeddings(needed - 1)])


@every_variant
def test_progress_ends_where_it_said(name, parameters):
    recorder = Recorder()
    fitted(name, parameters, progress=recorder)
    assert recorder.stages
    assert all(total == made for total, made in recorder.stages)


@every_variant
def test_figures_for_people(name, parameters):
    summary = fitted(name, parameters).summary()
    assert summary
    assert all(isinstance(value, (int, float, str)) for value in summary.values())
    assert json.loads(json.dumps(summary)) == summary


@every_variant
def test_searching_exactly_can_be_asked_of_any(name, parameters):
    detector, test = fitted(name, parameters), embeddings(3, seed=1)
    before = detector.score(test)
    detector.search_exactly()
    exact = detector.score(test)
    assert (before.patches >= exact.patches * (1 - 1e-6)).all()
    assert before.patches.sum() == pytest.approx(exact.patches.sum(), rel=0.03)
    np.testing.assert_allclose(before.images, exact.images, rtol=1e-6)


RESTORE = """
import json, sys
import numpy as np
from kizu import detectors

folder, name, parameters = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with np.load(folder + "/state.npz", allow_pickle=False) as state:
    detector = detectors.restore(name, parameters, dict(state))
assert detector.parameters() == {**detector.defaults(), **parameters}
scores = detector.score(np.load(folder + "/test.npy"))
np.savez(folder + "/scores.npz", patches=scores.patches, images=scores.images)
np.savez(folder + "/again.npz", **detector.state())
"""


@every_variant
def test_restored_in_a_fresh_process_it_scores_the_same(name, parameters, tmp_path):
    detector, test = fitted(name, parameters), embeddings(9, seed=1)
    state = detector.state()
    assert all(type(array) is np.ndarray and array.dtype.kind in "biuf" for array in state.values())
    np.savez(tmp_path / "state.npz", allow_pickle=False, **state)
    np.save(tmp_path / "test.npy", test)
    command = [sys.executable, "-W", "error", "-c", RESTORE, str(tmp_path), name, json.dumps(parameters)]
    subprocess.run(command, check=True, env=os.environ)
    with np.load(tmp_path / "scores.npz") as scores, np.load(tmp_path / "again.npz") as again:
        assert_same_scores(Scores(scores["patches"], scores["images"]), detector.score(test))
        assert_same_state(dict(again), state)


@every_variant
@pytest.mark.parametrize(
    "damage",
    [
        None,
        lambda a: np.empty(0, a.dtype),
        lambda a: np.empty((0, 0), a.dtype),
        lambda a: a.astype(object),
        lambda a: a.astype(str),
        lambda a: a[None],
    ],
    ids=["missing", "empty", "empty matrix", "objects", "words", "an axis more"],
)
def test_a_damaged_state_is_refused_or_harmless(name, parameters, damage):
    """Never another error, and never other scores. Where what speeds up the search is missing, patches are found
    in another way, and image scores, which are exact, stay.
    """
    detector, test = fitted(name, parameters), embeddings(3, seed=1)
    expected = detector.score(test)
    refusals = []
    for key, array in detector.state().items():
        state = dict(detector.state())
        del state[key]
        if damage:
            state[key] = damage(array)
        try:
            restored = detectors.restore(name, parameters, state)
        except ModelFileError as error:
            refusals.append(str(error))
        else:
            found = restored.score(test)
            if key.endswith(("links", "following")):
                np.testing.assert_allclose(found.images, expected.images, rtol=1e-6)
            else:
                assert_same_scores(found, expected)
    assert refusals
    assert all("restore" in text and "\n" not in text for text in refusals)


@every_name
def test_restoring_checks_parameters(name):
    state = fitted(name, {}).state()
    parameter = hinted(name, int, float)[0]
    with pytest.raises(ParameterError, match=f"`{parameter}` must be"):
        detectors.detector_class(name).from_state({parameter: float("nan")}, state)


@every_name
def test_no_state_at_all(name):
    with pytest.raises(ModelFileError, match="restore the model file"):
        detectors.restore(name, {}, {})


@pytest.mark.parametrize(("patches", "images"), [((2, 3, 4), (3,)), ((2, 12), (2,)), ((2, 3, 4), (2, 1))])
def test_scores_check_their_shapes(patches, images):
    with pytest.raises(ValueError, match="do not match"):
        Scores(np.zeros(patches, np.float32), np.zeros(images, np.float32))


@pytest.mark.parametrize("name", detectors.names())
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_embeddings_that_are_no_numbers_are_refused(name, number):
    embeddings = np.random.default_rng(0).random((4, 3, 3, 5), dtype=np.float32)
    embeddings[2, 1, 1, 3] = number
    with pytest.raises(DataError, match=r"NaN or infinite numbers; .*Install"):
        detectors.build(name, {}).fit(iter([embeddings]))


@pytest.mark.parametrize("name", detectors.names())
@pytest.mark.parametrize("number", [2e16, -1e20])
def test_embeddings_whose_squares_are_no_float32_are_refused(name, number):
    embeddings = np.random.default_rng(0).random((4, 3, 3, 5), dtype=np.float32)
    embeddings[2, 1, 1, 3] = number
    with pytest.raises(DataError, match=r"features are too large to tell distances: up to (2e\+16|1e\+20)"):
        detectors.build(name, {}).fit(iter([embeddings]))


@kizus_own
@pytest.mark.filterwarnings("ignore::kizu.KizuWarning")
def test_scores_whatever_floats_come(name, parameters):
    detector = detectors.build(name, parameters).fit([embeddings(40)])
    images = embeddings(2, seed=1)
    plain = detector.score(images)
    for other in (images.astype(np.float64), np.asfortranarray(images), images.tolist()):
        np.testing.assert_array_equal(detector.score(other).patches, plain.patches)


@kizus_own
@pytest.mark.filterwarnings("ignore::kizu.KizuWarning")
def test_embeddings_of_another_shape_are_refused(name, parameters):
    detector = detectors.build(name, parameters).fit([embeddings(40)])
    images = embeddings(2)
    for other in (images[0], images[:, :0], images[..., :2]):
        with pytest.raises(ParameterError, match="`embeddings` must be"):
            detector.score(other)
