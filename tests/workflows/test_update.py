"""Models that learn more good images: what they know, what they decide, and the way back."""

from __future__ import annotations

import json
import shutil
import threading
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kizu
from cli.running import files
from inspector.archives import rewritten
from kizu.calibration import Calibration, Decision
from kizu.datasets import load_dataset
from kizu.detectors import _patches
from kizu.errors import DataError, ImageError, KizuWarning, ModelFileError, OutputError, ParameterError
from kizu.inspector import Inspector, identity
from kizu.workflows import Update, _budget, history, restore, undo
from workflows.tiles import SMALL, good, tile, write

FITTED = 24
"""Images the models are fitted on."""


@pytest.fixture
def part(each_model: Path, tmp_path: Path) -> Path:
    """A model of its own, of each detector in turn."""
    return Path(shutil.copy(each_model, tmp_path / "部品.kizu"))


@pytest.fixture
def patchcore(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(model, tmp_path / "部品.kizu"))


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """6 further sound tiles."""
    good(tmp_path / "新規", 6, first=200)
    return tmp_path / "新規"


def updated(model: Path, *images: Path, **options: Any) -> Update:
    """Without warnings: what they say has tests of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KizuWarning)
        return kizu.update(model, images, **options)


def said(model: Path, images: Sequence[Path], **options: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", KizuWarning)
        kizu.update(model, images, **options)
    return [str(one.message) for one in caught]


def calibrating(before: kizu.Inspector, new: int) -> int:
    """Scores after an update: old ones of PaDiM count no more after as many as here."""
    return FITTED + new if before.detector.never_higher else new


def test_a_batch_is_learnt_and_calibrates(part: Path, batch: Path) -> None:
    old, before = part.read_bytes(), kizu.load(part)
    found = updated(part, batch)
    after = kizu.load(part)
    assert (found.path, found.id, found.previous) == (part, identity(part), found.kept.stem)
    assert found.kept.read_bytes() == old
    assert found.added == tuple(sorted(batch.iterdir()))
    assert (found.calibrating, found.repeated, found.strange, found.skipped) == (6, (), (), 0)
    assert before.calibration is not None
    assert after.calibration is not None
    if before.detector.never_higher:
        np.testing.assert_array_equal(after.calibration.scores[:-6], before.calibration.scores)
        np.testing.assert_array_equal(after.calibration.peaks[:-6], before.calibration.peaks)
    assert len(after.calibration.scores) == calibrating(before, 6)
    assert (after.calibration.decision, after.calibration.method) == (before.calibration.decision, "leave_one_out")
    assert after.config == before.config
    assert after.graph == before.graph
    assert after.check_files == before.check_files
    assert after.predict(tile(205)).score < before.predict(tile(205)).score
    json.dumps(found.to_dict(), allow_nan=False)


def test_left_out_scores_are_those_of_an_update_without_the_image(part: Path, batch: Path, tmp_path: Path) -> None:
    """For PaDiM to rounding; for PatchCore about, as another bank row may be picked."""
    images = sorted(batch.iterdir())
    copy = shutil.copy(part, tmp_path / "copy.kizu")
    calibration = updated(part, batch).after
    for place, path in enumerate(images[:2]):
        without = updated(copy, *(other for other in images if other != path), out=tmp_path / "without.kizu")
        score = without.inspector.predict(path).score
        exact = without.inspector.detector.name == "padim"
        assert calibration.scores[place - 6] == pytest.approx(score, rel=1e-4 if exact else 0.1)


def test_one_by_one_or_at_once_padim_ends_at_the_same(padim_model: Path, batch: Path, tmp_path: Path) -> None:
    images = sorted(batch.iterdir())
    together = updated(padim_model, batch, out=tmp_path / "together.kizu").inspector
    model = tmp_path / "single.kizu"
    updated(padim_model, images[0], out=model)
    for path in images[1:]:
        updated(model, path)
    single = kizu.load(model)
    for seed in (1, 300):
        assert single.predict(tile(seed)).score == pytest.approx(together.predict(tile(seed)).score, rel=1e-4)
    assert [len(step["names"]) for step in single.provenance["history"]] == [1] * 6


def test_the_same_update_gives_the_same_bytes(part: Path, batch: Path, tmp_path: Path) -> None:
    one, other = (updated(part, batch, out=tmp_path / f"{name}.kizu").path for name in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_history_is_kept_in_the_model(part: Path, batch: Path) -> None:
    first = identity(part)
    images = sorted(batch.iterdir())
    second = updated(part, *images[:4]).id
    third = updated(part, *images[4:], selected=True).id
    steps = kizu.load(part).provenance["history"]
    assert [step["id"] for step in steps] == [first, second]
    assert [(step["added"], step["calibrating"]) for step in steps] == [(4, 4), (2, 0)]
    assert steps[1]["names"] == [path.name for path in images[4:]]
    found = history(part)
    assert [version.id for version in found] == [third, second, first]
    assert [version.current for version in found] == [True, False, False]
    assert [version.names and len(version.names) for version in found] == [2, 4, None]
    assert all(version.path and version.path.exists() and not version.aside for version in found)
    assert found[2].size == found[2].path.stat().st_size  # type: ignore[union-attr]


def test_undo_brings_every_version_back_to_the_last_bit(part: Path, batch: Path) -> None:
    images = sorted(batch.iterdir())
    versions = [part.read_bytes()]
    for path in images[:3]:
        updated(part, path)
        versions.append(part.read_bytes())
    newest = identity(part)
    for content in reversed(versions[:-1]):
        undo(part)
        assert part.read_bytes() == content
    with pytest.raises(ModelFileError, match="has not been updated, so there is nothing to undo"):
        undo(part)
    aside = [version for version in history(part) if version.aside]
    assert len(aside) == 3
    restore(part, newest[:8])
    assert part.read_bytes() == versions[-1]


def test_undo_where_the_version_was_deleted(part: Path, batch: Path) -> None:
    found = updated(part, batch)
    found.kept.unlink()
    before = part.read_bytes()
    with pytest.raises(
        ModelFileError, match=rf"previous version is not kept \(.*{found.previous}\.kizu is not there"
    ):
        undo(part)
    assert part.read_bytes() == before
    assert [version.path for version in history(part)] == [part, None]


def test_another_file_can_be_written(part: Path, batch: Path, tmp_path: Path) -> None:
    old, out = part.read_bytes(), tmp_path / "out" / "b.kizu"
    found = updated(part, batch, out=out)
    assert part.read_bytes() == old
    assert found.kept.parent == out.with_name("b.kizu.versions")
    undo(out)
    assert out.read_bytes() == old


def test_a_model_in_the_way_is_kept_too(model: Path, padim_model: Path, batch: Path, tmp_path: Path) -> None:
    out = Path(shutil.copy(padim_model, tmp_path / "b.kizu"))
    updated(model, batch, out=out)
    restore(out, identity(padim_model))
    assert out.read_bytes() == padim_model.read_bytes()


def test_images_the_model_has_are_left_out(part: Path, parts: Path, batch: Path, tmp_path: Path) -> None:
    fitted = [sample.path for sample in load_dataset(parts).train_good()[:3]]
    renamed = [Path(shutil.copy(path, tmp_path / f"other name {path.name}")) for path in fitted]
    twice = Path(shutil.copy(sorted(batch.iterdir())[0], tmp_path / "copy.png"))
    expected = calibrating(kizu.load(part), 6)
    found = updated(part, *renamed, batch, twice)
    assert found.repeated == (*renamed, twice)
    assert len(found.added) == 6
    assert len(found.after.scores) == expected
    before = files(tmp_path)
    with pytest.raises(DataError, match=r": all 6 images are in the model already; there is nothing to add\."):
        kizu.update(part, [batch])
    with pytest.raises(DataError, match="the image is in the model already"):
        kizu.update(part, [twice])
    assert files(tmp_path) == before


def test_selected_images_are_learnt_and_do_not_calibrate(part: Path, batch: Path) -> None:
    before = kizu.load(part)
    found = updated(part, batch, selected=True)
    assert found.calibrating == 0
    np.testing.assert_array_equal(found.after.scores, found.before.scores)
    assert found.after.threshold == found.before.threshold
    assert found.inspector.predict(tile(205)).score < before.predict(tile(205)).score


def test_a_false_alarm_is_none_any_more(patchcore: Path, tmp_path: Path) -> None:
    image = tile(300)
    image[:, :, 1] //= 2
    alarm = write(tmp_path / "alarm.png", image)
    before, again = kizu.load(patchcore), image.copy()
    again[::7, ::5] += 1
    assert before.predict(again).verdict == "ng"
    found = updated(patchcore, alarm, selected=True)
    assert (found.alarming, found.still) == ((alarm,), ())
    assert kizu.load(patchcore).predict(again).verdict == "ok"
    assert kizu.load(patchcore).predict(tile(101, scratched=True)).verdict == "ng"


def test_a_false_alarm_that_stays_one_is_told(parts: Path, tmp_path: Path) -> None:
    """Nine neighbours: one image's own rows alone do not make it ordinary."""
    model = tmp_path / "nine.kizu"
    kizu.fit(parts, **SMALL, detector={"name": "patchcore", "neighbors": 9}).save(model)
    alarm = write(tmp_path / "alarm.png", tile(101, scratched=True))
    found = updated(model, alarm, selected=True)
    assert (found.alarming, found.still) == ((alarm,), (alarm,))


def test_images_that_look_like_defects_are_named_and_learnt(patchcore: Path, batch: Path, tmp_path: Path) -> None:
    odd = write(tmp_path / "傷?.png", tile(101, scratched=True))
    (text,) = [line for line in said(patchcore, [batch, odd]) if "far above" in line]
    assert text.startswith(
        f"{odd}: far above every good image so far. Really good? It is learnt as good from now on;"
    )
    assert kizu.load(patchcore).predict(odd).verdict == "ok"


def test_a_threshold_that_rose_is_explained(patchcore: Path, tmp_path: Path) -> None:
    images = [write(tmp_path / f"{seed}.png", tile(seed, scratched=True)) for seed in (101, 104)]
    (text,) = [line for line in said(patchcore, images, out=tmp_path / "a.kizu") if "threshold rose" in line]
    assert "2 of 2 images scored above every good image so far" in text
    assert "add them with --selected" in text
    assert not [line for line in said(patchcore, images, selected=True) if "threshold rose" in line]


def test_a_threshold_that_rose_by_chance_is_not(patchcore: Path, tmp_path: Path) -> None:
    """Three of 24 above the highest of 24 come up in one update of nine: the highest may happen to be low."""
    images = good(tmp_path / "新規", 24, first=300)
    for path, colour in zip(images[:3], ([255, 0, 0], [0, 255, 0], [0, 0, 255]), strict=True):
        odd = tile(int(path.stem[-3:]))
        odd[10:30, 10:30] = colour
        write(path, odd)
    kizu.decide(patchcore, false_alarms=0.01)
    inspector = kizu.load(patchcore)
    assert inspector.calibration is not None
    above = [inspector.predict(path).score > inspector.calibration.scores.max() for path in images]
    assert (sum(above), len(above), len(inspector.calibration.scores)) == (3, 24, FITTED)
    found = updated(patchcore, *images, out=tmp_path / "a.kizu")
    assert found.after.threshold > found.before.threshold
    assert not [line for line in said(patchcore, images) if "threshold rose" in line]


def test_a_batch_like_the_others_is_no_cause_for_warnings(part: Path, batch: Path) -> None:
    assert said(part, [batch]) == []


def test_a_threshold_that_was_set_stays(part: Path, batch: Path) -> None:
    decision = Decision(by="cost", threshold=1.25, evidence={"cost_miss": 50})
    inspector = kizu.load(part)
    assert inspector.calibration is not None
    inspector.calibrated(inspector.calibration.deciding(decision)).save(part)
    texts = said(part, [batch])
    assert "the threshold stays 1.25: it was chosen by cost for the model before this update." in texts[-1]
    after = kizu.load(part).calibration
    assert after is not None
    assert (after.threshold, after.decision, len(after.scores)) == (1.25, decision, FITTED + 6)


def test_scores_of_another_model_calibrate_no_more(padim_model: Path, tmp_path: Path) -> None:
    """24 more images: a Gaussian of 10 dimensions has changed."""
    model = Path(shutil.copy(padim_model, tmp_path / "padim.kizu"))
    found = updated(model, *good(tmp_path / "新規", 24, first=200))
    assert (found.calibrating, len(found.after.scores)) == (24, 24)
    assert found.after.method == "leave_one_out"
    assert found.after.decision == found.before.decision
    assert found.after.threshold < found.before.threshold


def test_too_few_to_calibrate_alone_warn(padim_model: Path, batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kizu.workflows import _recalibrate

    monkeypatch.setattr(_recalibrate, "STALE", 0.0)
    model = Path(shutil.copy(padim_model, batch.parent / "padim.kizu"))
    (text,) = said(model, sorted(batch.iterdir())[:3])
    assert text.startswith("scores have changed by -")
    assert text.endswith("thresholds with them. Fit again, or add 4 or more at once.")
    assert len(history(model)) == 2
    assert len(kizu.load(model).calibration.scores) == FITTED + 3  # type: ignore[union-attr]


def test_scores_that_never_rise_stay_upper_bounds(patchcore: Path, tmp_path: Path) -> None:
    found = updated(patchcore, *good(tmp_path / "新規", 24, first=200))
    assert len(found.after.scores) == FITTED + 24


def test_a_held_out_calibration_stays_one(part: Path, batch: Path) -> None:
    inspector = kizu.load(part)
    assert inspector.calibration is not None
    held_out = Calibration(inspector.calibration.scores[:5], inspector.calibration.peaks[:5], method="hold_out")
    inspector.calibrated(held_out).save(part)
    after = updated(part, *sorted(batch.iterdir())[:3]).after
    assert (after.method, len(after.scores)) == ("hold_out", 8)


def test_unreadable_images(part: Path, batch: Path) -> None:
    (batch / "壊れた.png").write_bytes(b"no image")
    before = files(batch.parent)
    with pytest.raises(ImageError, match="use --skip-unreadable"):
        kizu.update(part, [batch])
    assert files(batch.parent) == before
    expected = calibrating(kizu.load(part), 6)
    found = updated(part, batch, skip_unreadable=True)
    assert (len(found.added), found.skipped) == (6, 1)
    assert len(found.after.scores) == expected


@pytest.mark.parametrize("paths", [[], ["gone.png"]])
def test_no_images(part: Path, paths: list[str]) -> None:
    with pytest.raises(DataError, match=r"no images given|no such file or folder"):
        kizu.update(part, paths)


def test_one_image_is_enough(part: Path, tmp_path: Path) -> None:
    found = updated(part, write(tmp_path / "one.png", tile(400)))
    assert len(found.after.scores) == FITTED + 1


def test_a_model_that_changed_meanwhile_is_not_overwritten(
    model: Path, part: Path, batch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kizu.workflows import _update

    def learnt(*arguments: Any) -> Any:
        found = plain(*arguments)
        inspector = kizu.load(part)
        inspector.calibrated(inspector.calibration.deciding(Decision(false_alarms=0.25))).save(part)  # type: ignore[union-attr]
        return found

    plain = _update._learnt
    monkeypatch.setattr(_update, "_learnt", learnt)
    with pytest.raises(OutputError, match="was changed by another program meanwhile; nothing was written"):
        updated(part, batch)
    assert kizu.load(part).calibration.false_alarms == 0.25  # type: ignore[union-attr]
    assert not part.with_name("部品.kizu.versions").exists()


def test_updates_at_once_come_one_after_the_other(part: Path, batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One writes; the other, which began with the same model, finds it changed, however close they are."""
    from kizu.workflows import _update

    def written(*arguments: Any) -> Any:
        both.wait(60)
        return plain(*arguments)

    both, plain = threading.Barrier(2), _update._written
    monkeypatch.setattr(_update, "_written", written)
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(kizu.update, part, [path]) for path in sorted(batch.iterdir())[:2]]
    problems = [one.exception() for one in done if one.exception()]
    assert len(problems) == 1
    assert "was changed by another program meanwhile" in str(problems[0])
    assert len(kizu.load(part).provenance["history"]) == 1


@pytest.mark.filterwarnings("ignore::kizu.errors.KizuWarning")
@pytest.mark.parametrize("there", [True, False])
def test_updates_of_two_models_into_one_file_lose_none(
    model: Path, padim_model: Path, batch: Path, tmp_path: Path, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes second keeps what the first has written, however close they are."""

    def save(self: Inspector, path: Path) -> None:
        time.sleep(0.3)  # long enough for the other to come
        plain(self, path)

    plain = Inspector.save
    monkeypatch.setattr(Inspector, "save", save)
    target = tmp_path / "both.kizu"
    if there:
        shutil.copy(model, target)
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(kizu.update, one, batch, out=target) for one in (model, padim_model)]
    made = {one.result().id for one in done}
    kept = {path.stem for path in target.with_name("both.kizu.versions").iterdir()}
    assert made - kept == {identity(target)}
    assert kept - made == {identity(model), identity(padim_model)}


def test_a_name_too_long_for_versions_is_told_first(model: Path, batch: Path, tmp_path: Path) -> None:
    part = Path(shutil.copy(model, tmp_path / f"{'m' * 249}.kizu"))
    with pytest.raises(OutputError, match="the name is too long for this drive; choose a shorter one"):
        kizu.update(part, [batch])


def test_no_room_for_versions(part: Path, batch: Path) -> None:
    part.with_name("部品.kizu.versions").write_bytes(b"in the way")
    before = part.read_bytes()
    with pytest.raises(OutputError, match="versions: is a file, not a folder"):
        updated(part, batch)
    assert part.read_bytes() == before


@pytest.mark.parametrize(
    "odd", [5, "text", [1], [{}], [{"id": "a", "names": 5, "digests": [], "calibrating": 1}], {"a": 1}], ids=str
)
def test_a_history_that_makes_no_sense(model: Path, batch: Path, tmp_path: Path, odd: Any) -> None:
    path = rewritten(model, tmp_path / "odd.kizu", {}, lambda manifest: manifest["provenance"].update(history=odd))
    for use in (lambda: kizu.update(path, [batch]), lambda: history(path), lambda: undo(path)):
        with pytest.raises(ModelFileError, match="its history cannot be read"):
            use()


def test_images_that_make_no_sense(model: Path, batch: Path, tmp_path: Path) -> None:
    path = rewritten(model, tmp_path / "odd.kizu", {}, lambda manifest: manifest["provenance"].update(images=5))
    with pytest.raises(ModelFileError, match="its history cannot be read"):
        kizu.update(path, [batch])


@pytest.mark.filterwarnings("ignore::kizu.errors.KizuWarning")
@pytest.mark.parametrize("detector", ["patchcore", {"name": "padim", "reduced_dims": 10}], ids=str)
def test_more_than_the_limit_of_the_fit_holds_is_refused(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detector: Any
) -> None:
    """Six new images go into what is left, and images that the model has already do not count."""
    model = tmp_path / "m.kizu"
    fitted = kizu.fit(parts, memory="600MB", detector=detector, **SMALL)
    fitted.save(model)
    monkeypatch.setattr(_budget, "_taken", lambda *_: 0)
    six = _budget._needed(fitted, 6, _budget.Pictures())
    monkeypatch.setattr(_budget, "_taken", lambda *_: 600_000_000 - six)
    eight, before = tmp_path / "eight", model.read_bytes()
    paths = good(eight, 8, first=200)
    known = [sample.path for sample in load_dataset(parts, seed=0).train_good()]
    said = r"^these 8 new images take 601MB, and the model was fitted within 600MB: add them in batches of 6\.$"
    with pytest.raises(ParameterError, match=said):
        kizu.update(model, [eight, *known])
    assert model.read_bytes() == before
    paths[-1].write_bytes(b"no image")
    paths[-2].unlink()
    found = kizu.update(model, [eight, *known], skip_unreadable=True)
    assert (len(found.added), found.skipped) == (6, 1)


def test_images_that_the_model_has_take_no_memory(
    model: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = 4 * int(np.prod(kizu.load(model).engine.grid)) * kizu.load(model).engine.channels
    for module in (_budget, _patches):
        monkeypatch.setattr(module, "available", lambda: 3 * one)
    known = [sample.path for sample in load_dataset(parts, seed=0).train_good()]
    assert len(known) > 3
    found = kizu.update(model, [*known, *good(tmp_path / "two", 2, first=200)], out=tmp_path / "new.kizu")
    assert (len(found.added), len(found.repeated)) == (2, len(known))
    with pytest.raises(ParameterError, match=r"^the patches of 8 images take .*fewer images at a time"):
        kizu.update(model, good(tmp_path / "eight", 8, first=300), out=tmp_path / "other.kizu")


@pytest.mark.filterwarnings("ignore::kizu.errors.KizuWarning")
def test_a_few_images_are_always_learnt(parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kizu.fit(parts, memory="600MB", **SMALL).save(tmp_path / "m.kizu")
    monkeypatch.setattr(_budget, "_taken", lambda *_: 10**10)
    good(tmp_path / "new", 5, first=200)
    with pytest.raises(ParameterError, match=r"add them in batches of 4\."):
        kizu.update(tmp_path / "m.kizu", [tmp_path / "new"])
    assert len(kizu.update(tmp_path / "m.kizu", sorted((tmp_path / "new").iterdir())[:4]).added) == 4


def test_a_detector_that_cannot_learn(part: Path, batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kizu.detectors import Detector

    before = part.read_bytes()
    monkeypatch.setattr(type(kizu.load(part).detector), "updated", Detector.updated)
    with pytest.raises(ParameterError, match=r"cannot learn more images: it does not say how\. Fit again"):
        kizu.update(part, [batch])
    assert part.read_bytes() == before


def test_a_detector_that_cannot_leave_out_learns_without_calibrating(
    part: Path, batch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(kizu.load(part).detector), "leaves_one_out", False)
    found = updated(part, batch)
    assert (len(found.added), found.calibrating, len(found.after.scores)) == (6, 0, FITTED)


def test_a_model_without_what_an_update_takes_is_named(padim_model: Path, batch: Path, tmp_path: Path) -> None:
    path = rewritten(padim_model, tmp_path / "old.kizu", {"detector/count.npy": None})
    with pytest.raises(ModelFileError, match=r"old\.kizu: the model does not say how many images"):
        kizu.update(path, [batch])


@pytest.mark.parametrize(("new", "before"), [(0.0, 0.0), (2.0, 2.0)])
def test_scores_that_stay_have_not_changed(new: float, before: float) -> None:
    from kizu.workflows._recalibrate import recalibrated

    old, now = (Calibration(np.full(3, score), np.full(3, score)) for score in (1.0, new))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert recalibrated(old, now, [before] * 3, never_higher=False).scores.tolist() == [1, 1, 1, new, new, new]


def test_a_folder_alone_is_one(patchcore: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the folders ``a`` and ``b``."""
    for number, name in enumerate(("a", "b", "ab")):
        good(tmp_path / name, 1, first=200 + number)
    monkeypatch.chdir(tmp_path)
    found = kizu.update(patchcore, "ab")
    assert [path.parent for path in found.added] == [Path("ab")]
    assert [path.parent for path in kizu.update(patchcore, Path("a")).added] == [Path("a")]
    with pytest.raises(ParameterError, match="a path must be a text or a pathlib"):
        kizu.update(patchcore, None)  # type: ignore[arg-type]
