"""Choosing a preset by drawn defects: fits for real, and judged as the rule says."""

from __future__ import annotations

import re
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import kizu
from kizu import synthetic
from kizu.config import Config, parse
from kizu.datasets import load_dataset
from kizu.detectors import _streaming
from kizu.errors import BackboneError, DataError, ImageError, ParameterError
from kizu.images import Area
from kizu.inspector import Inspector
from kizu.workflows import _auto, _budget, choose_preset
from kizu.workflows._auto import Tried, _judged
from workflows.tiles import tile, write


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("auto") / "tiles"
    for number in range(30):
        write(folder / f"{number:02}.png", tile(number))
    return folder


def test_every_candidate_is_tried_and_one_is_chosen(tiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_auto, "CANDIDATES", (("lite-fast", 64), ("lite", 64), ("lite", 96)))
    choice = choose_preset(tiles, parse({"seed": 3}))
    assert sorted((t.preset, t.image_size) for t in choice.trials) == [("lite", 64), ("lite", 96), ("lite-fast", 64)]
    assert [t.milliseconds for t in choice.trials] == sorted(t.milliseconds for t in choice.trials)
    assert (choice.fitted, choice.drawn_on, choice.left_out) == (21, 9, ())
    assert all(0.5 < t.auroc <= 1 for t in choice.trials)
    first = next(t for t in choice.trials if t.worse is None)
    assert (choice.preset, choice.image_size) == (first.preset, first.image_size)
    assert choice.to_dict()["reason"] == choice.reason
    again = choose_preset(tiles, parse({"seed": 3}))
    assert {(t.preset, t.image_size, t.auroc) for t in again.trials} == {
        (t.preset, t.image_size, t.auroc) for t in choice.trials
    }


def test_presets_that_cannot_be_had_are_left_out_and_told(tiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIZU_CACHE", str(tiles.parent / "empty"))
    monkeypatch.setattr(_auto, "CANDIDATES", (("lite-fast", 64), ("padim-resnet18", 64)))
    choice = choose_preset(tiles)
    assert [t.preset for t in choice.trials] == ["lite-fast"]
    assert choice.left_out == ("padim-resnet18: not downloaded. Run: kizu backbones pull resnet18",)
    assert choice.reason == "nothing else could be tried."


def test_where_no_preset_can_be_had_it_says_why(tiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIZU_CACHE", str(tiles.parent / "empty"))
    monkeypatch.setattr(_auto, "CANDIDATES", (("padim-resnet18", 64), ("padim-resnet18", 96)))
    said = r"^no preset can be tried: padim-resnet18: not downloaded\. Run: kizu backbones pull resnet18\.$"
    with pytest.raises(BackboneError, match=said):
        choose_preset(tiles)


def test_what_cannot_be_read_stops_or_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_auto, "CANDIDATES", (("lite-fast", 64),))
    paths = [write(tmp_path / f"{number:02}.png", tile(number)) for number in range(24)]
    to_fit, held_out = _auto._divided(load_dataset(tmp_path), seed=0)
    for sample in (to_fit[0], held_out[0]):
        sample.path.write_bytes(b"no image")
    with pytest.raises(ImageError, match="use --skip-unreadable"):
        choose_preset(tmp_path)
    choice = choose_preset(tmp_path, skip_unreadable=True)  # the fit that follows names what is skipped
    assert choice.fitted + choice.drawn_on == len(paths) - 2
    assert choice.drawn_on == len(held_out) - 1
    for sample in to_fit[1:4]:
        sample.path.write_bytes(b"no image")
    with pytest.raises(DataError, match="19 readable good images are too few to try presets on; give 20, or choose"):
        choose_preset(tmp_path, skip_unreadable=True)


def test_all_presets_are_tried_within_a_limit_of_memory(tiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_auto, "CANDIDATES", (("lite-fast", 64), ("accurate", 64)))
    choice = choose_preset(tiles, parse({"memory": "2GB"}))
    assert {t.preset for t in choice.trials} == {"lite-fast", "accurate"}
    assert not choice.left_out


def test_within_a_limit_one_inspector_is_held_at_a_time(tiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each was fitted within the limit as if alone."""
    monkeypatch.setattr(_auto, "CANDIDATES", (("lite-fast", 64), ("lite", 64), ("lite", 96)))
    held: list[int] = []
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    plain = _auto.fit

    def counted(*given: Any, **options: Any) -> Inspector:
        held.append(len(alive))
        inspector = plain(*given, **options)
        alive.add(inspector.detector)
        return inspector

    monkeypatch.setattr(_auto, "fit", counted)
    limited = choose_preset(tiles, parse({"memory": "2GB"}))
    assert held == [0, 0, 0]
    figures = [{(t.preset, t.image_size, t.auroc) for t in c.trials} for c in (limited, choose_preset(tiles))]
    assert figures[0] == figures[1]
    assert held[3:] == [0, 1, 2]


def test_presets_that_memory_does_not_hold_are_not_tried(tiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_auto, "CANDIDATES", (("lite-fast", 64), ("lite", 768)))
    choice = choose_preset(tiles, parse({"memory": "600MB"}))
    assert [t.preset for t in choice.trials] == ["lite-fast"]
    (why,) = choice.left_out
    assert re.fullmatch(
        r"lite at 768 pixels: `memory` must be more than the 7\d\dMB that the program takes; got '600MB'\.", why
    )
    with pytest.raises(ParameterError, match=r"no preset can be tried: lite-fast at 64 pixels: `memory` .*; lite at"):
        choose_preset(tiles, parse({"memory": "50MB"}))


def test_what_calibrating_takes_is_known_before_anything_is_tried(
    tiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_auto, "CANDIDATES", (("lite-fast", 64),))
    monkeypatch.setattr(_auto, "fit", None)
    for name in ("PROGRAM", "GRAPHS", "SMALL"):
        monkeypatch.setattr(_budget, name, 0 if name != "SMALL" else 10**9)
    monkeypatch.setattr(_streaming, "FIXED", 0)
    monkeypatch.setattr(_streaming, "FEWEST_ROWS", 1)
    with pytest.raises(ParameterError, match=r"no preset can be tried: .*`calibration` must be hold_out or k_fold"):
        choose_preset(tiles, parse({"memory": "1MB", "calibration": "leave_one_out"}))


def test_many_images_are_thinned(tiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_auto, "FITTED", 10)
    monkeypatch.setattr(_auto, "DRAWN_ON", (2, 4))
    to_fit, held_out = _auto._divided(load_dataset(tiles), seed=0)
    assert 5 <= len(to_fit) <= 10
    assert 2 <= len(held_out) <= 4
    assert not {s.path for s in to_fit} & {s.path for s in held_out}


@pytest.mark.parametrize(
    ("area", "rows", "columns"),
    [({"roi": "0.5,0,0.5,0.5"}, (0.0, 0.5), (0.5, 1.0)), ({"roi": "0.1,0.6,0.3,0.3"}, (0.6, 0.9), (0.1, 0.4))],
)
def test_defects_lie_in_the_inspected_area(
    tiles: Path,
    monkeypatch: pytest.MonkeyPatch,
    area: dict[str, str],
    rows: tuple[float, float],
    columns: tuple[float, float],
) -> None:
    monkeypatch.setattr(_auto, "CANDIDATES", (("lite-fast", 64), ("lite", 64)))
    seen = []
    measure = Inspector.measure

    def spied(inspector: Inspector, image: Any) -> Any:
        seen.append(image.copy())
        return measure(inspector, image)

    drawn: list[Any] = []
    draw = synthetic.draw_defects

    def watched(*given: Any, **options: Any) -> Any:
        for defect in draw(*given, **options):
            drawn.append(defect)
            yield defect

    monkeypatch.setattr(Inspector, "measure", spied)
    monkeypatch.setattr(_auto.synthetic, "draw_defects", watched)
    choice = choose_preset(tiles, parse(area))
    assert len(drawn) == choice.drawn_on * _auto.EACH
    for defect in drawn:
        places = np.argwhere(defect.mask) / defect.mask.shape
        assert (places[:, 0].min() >= rows[0] - 0.05) & (places[:, 0].max() <= rows[1] + 0.05)
        assert (places[:, 1].min() >= columns[0] - 0.05) & (places[:, 1].max() <= columns[1] + 0.05)
        assert any((image == defect.image).all() for image in seen)
    assert max(trial.auroc for trial in choice.trials) > 0.6


def test_an_area_without_an_object_is_taken_whole() -> None:
    image = np.full((64, 64, 3), 250, np.uint8)
    image[4:32, 4:32] = 90
    on_object, beside = np.zeros((64, 64), np.bool_), np.zeros((64, 64), np.bool_)
    on_object[20:60, 20:60], beside[40:60, 40:60] = True, True
    found = synthetic.object_region(image)
    assert found.any()
    assert not found[40:60, 40:60].any()
    np.testing.assert_array_equal(_auto._inspected(image, None), found)
    np.testing.assert_array_equal(_auto._inspected(image, Area(on_object)), found & on_object)
    np.testing.assert_array_equal(_auto._inspected(image, Area(beside)), beside)


@pytest.mark.parametrize("side", [42, 43, 45])
def test_an_area_that_only_touches_the_object_is_taken_whole(side: int) -> None:
    """There is no room for a defect where the two meet."""
    image = np.full((128, 128, 3), 235, np.uint8)
    image[40:90, 40:90] = np.random.default_rng(0).integers(60, 120, (50, 50, 1))
    corner = np.zeros((128, 128), np.bool_)
    corner[:side, :side] = True
    assert (synthetic.object_region(image) & corner).any()
    np.testing.assert_array_equal(_auto._inspected(image, Area(corner)), corner)


def test_too_few_images(tmp_path: Path) -> None:
    for number in range(19):
        write(tmp_path / "few" / f"{number}.png", tile(number))
    with pytest.raises(DataError, match="19 good images are too few to try presets on; give 20, or choose"):
        choose_preset(tmp_path / "few")


def tried(preset: str, separation: float, milliseconds: float, count: int = 40) -> Tried:
    """Scores that all candidates share but for how far defects lie above good images."""
    noise = np.random.default_rng(0).standard_normal((2, count))
    config = Config(preset=preset, image_size=256)
    return Tried(config, noise[0], noise[1] + separation, milliseconds, fitted=count)


def verdicts(*candidates: Tried) -> dict[str, Any]:
    return {trial.preset: trial.worse for trial in _judged(candidates)}


def test_the_best_is_never_worse_and_a_bad_one_is() -> None:
    found = verdicts(tried("quick", 0.2, 1), tried("good", 3, 5))
    assert found["good"] is None
    assert found["quick"] > 0.2


def test_the_figure_is_the_area_under_the_curve() -> None:
    one = tried("some", 1.0, 1)
    assert one.auroc == roc_auc_score([0] * 40 + [1] * 40, [*one.good, *one.bad])


def test_as_good_and_quicker_wins() -> None:
    slow, quick = tried("slow", 2.0, 9), tried("quick", 1.99, 1)
    trials = _judged([slow, quick])
    assert [trial.preset for trial in trials] == ["quick", "slow"]
    assert trials[0].worse is None


def test_a_difference_too_small_to_matter_does_not_count_and_a_larger_one_does() -> None:
    best, other, worse = (
        tried(name, by, 1, count=20_000) for name, by in (("best", 2), ("other", 1.95), ("worse", 1.8))
    )
    assert 0 < best.auroc - other.auroc < _auto.TOO_LITTLE
    found = verdicts(best, other, worse)
    assert (found["best"], found["other"]) == (None, None)
    assert found["worse"] == best.auroc - worse.auroc > _auto.TOO_LITTLE


def test_it_is_in_the_package() -> None:
    assert kizu.workflows.choose_preset is choose_preset
