"""Where calibration scores come from: each image left out, folds, images held out, images given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kizu
from kizu import detectors
from kizu.datasets import load_dataset
from kizu.detectors import Scores
from kizu.errors import ImageError, KizuWarning, ParameterError
from kizu.images import read_image
from kizu.workflows._calibrate import from_left_out
from workflows import tiles
from workflows.tiles import SMALL

pytestmark = pytest.mark.filterwarnings("ignore:PaDiM fits:kizu.KizuWarning")

FULL_BANK = {"name": "patchcore", "coreset_ratio": 1.0}
PADIM = {"name": "padim", "reduced_dims": 4}


def scores(inspector: kizu.Inspector) -> np.ndarray:
    assert inspector.calibration is not None
    return inspector.calibration.scores


def measured(inspector: kizu.Inspector, path: Path) -> tuple[float, float]:
    score, anomaly_map = inspector.measure(read_image(path))
    return score, float(anomaly_map.max())


@pytest.mark.parametrize("detector", [FULL_BANK, PADIM])
def test_leaving_each_out_is_fitting_without_it(tmp_path: Path, detector: Any) -> None:
    """Scores and peaks, of a model against models of the other images alone."""
    paths = tiles.good(tmp_path / "all", 7)
    inspector = kizu.fit(tmp_path / "all", **SMALL, detector=detector)
    assert inspector.calibration is not None
    for place in (0, 3, 6):
        rest = tmp_path / f"without{place}"
        for path in paths:
            if path != paths[place]:
                tiles.write(rest / path.name, read_image(path))
        score, peak = measured(kizu.fit(rest, **SMALL, detector=detector), paths[place])
        assert scores(inspector)[place] == pytest.approx(score, rel=1e-4)
        assert inspector.calibration.peaks[place] == pytest.approx(peak, rel=1e-4)


def test_folds_are_scored_by_fits_on_the_others(tmp_path: Path) -> None:
    paths = tiles.good(tmp_path / "all", 7)
    asked_for: Any = {**SMALL, "detector": FULL_BANK, "seed": 3}
    inspector = kizu.fit(tmp_path / "all", **asked_for, calibration="k_fold", folds=3)
    assert inspector.calibration is not None
    assert (inspector.calibration.method, len(scores(inspector))) == ("k_fold", 7)
    parts = [sorted(part) for part in np.array_split(np.random.default_rng(3).permutation(7), 3)]
    expected = []
    for number, part in enumerate(parts):
        rest = tmp_path / f"fold{number}"
        for place in set(range(7)) - set(part):
            tiles.write(rest / paths[place].name, read_image(paths[place]))
        fold = kizu.fit(rest, **asked_for)
        expected += [measured(fold, paths[place]) for place in part]
    np.testing.assert_allclose(scores(inspector), [score for score, _ in expected], rtol=1e-6)
    np.testing.assert_allclose(inspector.calibration.peaks, [peak for _, peak in expected], rtol=1e-6)


@pytest.mark.parametrize("method", ["leave_one_out", "k_fold", "hold_out"])
def test_every_way_is_in_the_model(tmp_path: Path, method: Any) -> None:
    tiles.good(tmp_path / "data", 12)
    inspector = kizu.fit(tmp_path / "data", **SMALL, calibration=method, review_budget=0.1)
    inspector.save(tmp_path / "a.kizu")
    again = kizu.load(tmp_path / "a.kizu")
    assert again.calibration is not None
    assert again.calibration.method == again.config.calibration == method
    assert again.calibration.decision.review_budget == 0.1
    np.testing.assert_array_equal(scores(again), scores(inspector))


def test_images_the_data_sets_apart_win(tmp_path: Path) -> None:
    inspector = kizu.fit(tiles.listed(tmp_path, ".csv"), **SMALL, calibration="k_fold")
    assert inspector.calibration is not None
    assert (inspector.calibration.method, len(scores(inspector))) == ("given", 6)


class HeldOut(detectors.Detector):
    """A detector that cannot leave one out: each patch scores its distance to the mean patch."""

    name = "test-mean"
    min_images = 1

    def check(self) -> None:
        pass

    def fit(self, embeddings: Any, *, images: Any = None, rng: Any = None, progress: Any = None) -> HeldOut:
        self.mean_ = np.concatenate(list(embeddings)).mean(axis=(0, 1, 2))
        return self

    def score(self, embeddings: Any) -> Scores:
        patches = np.linalg.norm(embeddings - self.mean_, axis=3).astype(np.float32)
        return Scores(patches, patches.max(axis=(1, 2)))

    def state(self) -> Any:
        return {"mean": self.mean_}

    def _restore(self, state: Any) -> None:
        self.mean_ = state["mean"]

    def summary(self) -> Any:
        return {}


def test_a_detector_that_cannot_leave_one_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kizu.detectors import _registry

    monkeypatch.setitem(_registry._registered, "test-mean", HeldOut)
    tiles.good(tmp_path, 12)
    inspector = kizu.fit(tmp_path, **SMALL, detector="test-mean")
    assert inspector.calibration is not None
    assert (inspector.config.calibration, inspector.calibration.method) == ("hold_out", "hold_out")
    assert kizu.fit(tmp_path, **SMALL, detector="test-mean", calibration="k_fold").calibration is not None
    with pytest.raises(ParameterError) as caught:
        kizu.fit(tmp_path, **SMALL, detector="test-mean", calibration="leave_one_out")
    expected = "`calibration` must be something test-mean can do; got 'leave_one_out'. Use k_fold or hold_out."
    assert str(caught.value) == expected


@pytest.mark.parametrize(("detector", "method"), [(PADIM, None), (FULL_BANK, "k_fold")])
def test_unreadable_files_are_skipped_and_counted_once(tmp_path: Path, detector: Any, method: Any) -> None:
    """Also where images are read a second time."""
    tiles.good(tmp_path, 9)
    (tmp_path / "良品004.png").write_bytes(b"")
    with pytest.warns(KizuWarning) as told:
        inspector = kizu.fit(tmp_path, **SMALL, detector=detector, calibration=method, skip_unreadable=True, folds=2)
    skipped = [str(warning.message) for warning in told if str(warning.message).startswith("skipped")]
    assert len(skipped) == 1
    assert inspector.provenance["data"]["skipped"] == 1
    assert len(scores(inspector)) == 8


def test_a_file_that_vanishes_between_two_readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kizu.detectors.padim import PaDiM

    paths = tiles.good(tmp_path, 8)
    whole = PaDiM._leave_one_out

    def vanish(self: Any, *given: Any) -> Any:
        paths[5].unlink()
        return whole(self, *given)

    monkeypatch.setattr(PaDiM, "_leave_one_out", vanish)
    with pytest.raises(ImageError, match=f"{paths[5]}: "):
        kizu.fit(tmp_path, **SMALL, detector=PADIM)


def test_the_same_seed_gives_the_same_folds(tmp_path: Path) -> None:
    tiles.good(tmp_path, 8)
    dataset = load_dataset(tmp_path)
    same = [scores(kizu.fit(dataset, **SMALL, calibration="k_fold", folds=2, seed=seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(same[0], same[1])
    assert not np.array_equal(same[0], same[2])


@pytest.mark.parametrize(
    ("grid", "score", "words"),
    [
        ((3, 3), 0.0, r"gives patch scores \(2, 3, 3\) for \(2, 8, 8\)"),
        ((8, 8), -1.0, "gives a score below 0, -1"),
    ],
)
def test_left_out_scores_that_break_a_detectors_word(
    model: Path, grid: tuple[int, int], score: float, words: str
) -> None:
    found = Scores(np.full((2, *grid), score, np.float32), np.full(2, score, np.float32))
    with pytest.raises(ParameterError, match=words):
        from_left_out(kizu.load(model), found, (96, 96))
