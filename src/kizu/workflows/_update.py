"""More good images → the same model, having learnt them; none of the old images is needed."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from kizu import detectors
from kizu.arguments import Paths
from kizu.calibration import Calibration
from kizu.calibration.binomial import at_least_beyond
from kizu.datasets import Sample
from kizu.errors import KizuWarning, ModelFileError, some
from kizu.images import DEFAULT_MAX_PIXELS
from kizu.inspector import Inspector, check_target, identity, versions
from kizu.progress import Progress, Silent
from kizu.workflows._budget import fits_at_once, pictures, require_room_to_learn
from kizu.workflows._calibrate import from_left_out, from_left_out_later, leaves_out_later
from kizu.workflows._history import Step, digests_of, steps_of
from kizu.workflows._image_files import find_good_files
from kizu.workflows._new_images import NewImages, count_new
from kizu.workflows._reading import Reader
from kizu.workflows._recalibrate import recalibrated

BY_CHANCE = 0.1
"""Probability below which so many images above all calibration scores seem no accident."""

NAMED = 5
"""Strange images named in a warning."""


@dataclass(frozen=True, eq=False)
class Update:
    """What an update did.

    ``inspector`` and ``id``: the model as it is now, written to ``path``; ``previous`` is the id it had, and that
    version is ``kept``. ``added``: the images learnt, of which ``calibrating`` also count for the thresholds;
    ``repeated``: those left out, as the model has them already. ``strange``: those of the added that scored far above
    all good images so far, ``alarming`` those that were not OK, ``still`` those that are not even now. ``skipped``:
    files that could not be read. ``before`` and ``knew``: the calibration and the detector's figures as they were.
    """

    inspector: Inspector
    path: Path
    id: str
    previous: str
    kept: Path
    added: tuple[Path, ...]
    calibrating: int
    repeated: tuple[Path, ...]
    strange: tuple[Path, ...]
    alarming: tuple[Path, ...]
    still: tuple[Path, ...]
    skipped: int
    before: Calibration
    knew: Mapping[str, float | int | str]
    seconds: float

    @property
    def after(self) -> Calibration:
        """The calibration as it is now."""
        return cast(Calibration, self.inspector.calibration)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "model": str(self.path),
            "id": self.id,
            "previous": self.previous,
            "kept": str(self.kept),
            "added": [str(path) for path in self.added],
            "calibrating": self.calibrating,
            "repeated": [str(path) for path in self.repeated],
            "strange": [str(path) for path in self.strange],
            "alarming": [str(path) for path in self.alarming],
            "still": [str(path) for path in self.still],
            "skipped": self.skipped,
            "detector": self.inspector.detector.summary(),
            "detector_before": dict(self.knew),
            "before": self.before.figures,
            "after": self.after.figures,
            "seconds": round(self.seconds, 3),
        }


def update(
    model: str | Path,
    images: Paths,
    *,
    out: str | Path | None = None,
    selected: bool = False,
    skip_unreadable: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Progress | None = None,
) -> Update:
    """Add good images, a file or folder or several, to a model, and write it anew: over itself, or to ``out``.

    The version replaced is kept beside the file written (`undo` brings it back). The images also calibrate, each by
    what it scores left out; not so where they were ``selected`` by what the model said of them, as false alarms are:
    their scores say nothing of those to come. Images that the model has already are left out.

    Raises:
        ModelFileError: the model is missing, damaged, or was written by a kizu that did not keep what this takes.
        ParameterError: its detector cannot learn more images, or not so many at once within its fit's ``memory``.
        DataError: there are no images, or none that is new; `ImageError` names a file.
        OutputError: the model cannot be written, or another program did so meanwhile.
    """
    started = time.perf_counter()
    source, target = Path(model), Path(model if out is None else out)
    files = find_good_files(images)
    check_target(target)
    versions.check_folder(target)
    previous, inspector = identity(source), Inspector.load(source)
    steps = steps_of(inspector.provenance, source)
    samples = [Sample(path, "train", "good", "good") for path in files]
    reads = pictures(inspector, samples)
    given: dict[str, Any] = {"skip_unreadable": skip_unreadable, "max_pixels": max_pixels, "ahead": reads.ahead}
    reader, known = Reader(inspector.reading, **given), digests_of(inspector.provenance, source)
    count = len(samples)
    if not fits_at_once(inspector, count, reads):
        count = count_new(reader.again(), samples, known)
        require_room_to_learn(inspector, count, reads)
    with closing(NewImages(inspector, reader, samples, known, progress or Silent())) as new:
        learnt, calibrating = _learnt(inspector, new, reader, count, selected, source, progress or Silent())
    before = cast(Calibration, inspector.calibration)
    alarming = [one for one, score in zip(new.added, new.scores, strict=True) if before.verdict(score) != "ok"]
    still = _still(learnt, reader, alarming)
    strange = _strange(before, new)
    _warn(before, cast(Calibration, learnt.calibration), new, strange)
    names = [sample.path.name for sample in new.added]
    step = Step(previous, tuple(names), tuple(new.digests), calibrating)
    history = [one.to_dict() for one in (*steps, step)]
    updated = replace(learnt, provenance={**inspector.provenance, "history": history})
    kept = _written(updated, source, target, previous)
    return Update(
        inspector=updated,
        path=target,
        id=identity(target),
        previous=previous,
        kept=kept,
        added=tuple(sample.path for sample in new.added),
        calibrating=calibrating,
        repeated=tuple(new.repeated),
        strange=tuple(strange),
        alarming=tuple(sample.path for sample in alarming),
        still=still,
        skipped=len(reader.skipped),
        before=before,
        knew=inspector.detector.summary(),
        seconds=time.perf_counter() - started,
    )


def _learnt(
    inspector: Inspector,
    new: NewImages,
    reader: Reader,
    images: int,
    selected: bool,
    source: Path,
    progress: Progress,
) -> tuple[Inspector, int]:
    """The inspector having learnt ``new`` images, and how many of them calibrate it."""
    calibrates = inspector.detector.leaves_one_out and not selected
    old = cast(Calibration, inspector.calibration)
    given: dict[str, Any] = {"images": images, "progress": progress, "at_most": old.review_threshold}
    given["rng"] = np.random.default_rng([inspector.config.seed, len(inspector.provenance.get("history", ())) + 1])
    later = calibrates and leaves_out_later(inspector)
    given |= {"leave_one_out": True} if calibrates else {}
    given |= {"later": True} if later else {}
    try:
        detector = inspector.detector.updated(new, **given)
    except ModelFileError as error:
        raise ModelFileError(f"{source}: {error}") from None
    learnt = replace(inspector, detector=detector)
    if not calibrates:
        return learnt, 0
    if later:
        found = from_left_out_later(learnt, reader.again(), new.added, (), progress)
    else:
        found = from_left_out(learnt, cast(detectors.LeavesOneOut, detector).left_out_, new.size)
    after = recalibrated(old, found, new.scores, never_higher=inspector.detector.never_higher)
    return learnt.calibrated(after), len(found.scores)


def _still(inspector: Inspector, reader: Reader, samples: Sequence[Sample]) -> tuple[Path, ...]:
    """Those that are not OK."""
    with closing(reader.again().images(samples)) as read:
        return tuple(sample.path for sample, image in read if inspector.inspect(image).verdict != "ok")


def _strange(calibration: Calibration, new: NewImages) -> list[Path]:
    """Images as far again above the highest calibration score as that lies above the middle one, highest first."""
    highest, middle = calibration.scores.max(), np.median(calibration.scores)
    order = np.argsort([-score for score in new.scores], kind="stable")
    return [new.added[place].path for place in order if new.scores[place] > highest + (highest - middle)]


def _warn(before: Calibration, after: Calibration, new: NewImages, strange: Sequence[Path]) -> None:
    """Say what may be wrong with the images, or with what decides."""
    if strange:
        _say(
            f"{some(strange, NAMED)}: far above every good image so far. Really good? It is learnt as good from now "
            "on; `kizu update MODEL --undo` takes it back."
        )
    above = sum(score > before.scores.max() for score in new.scores)
    chance = at_least_beyond(above, len(new.scores), 1, len(before.scores))
    if after.threshold > before.threshold and chance < BY_CHANCE:
        _say(
            f"the threshold rose from {before.threshold:.4g} to {after.threshold:.4g}: {above} of {len(new.scores)} "
            "images scored above every good image so far. That is right for images as they came. If they were picked "
            "because of it, as false alarms are, undo, and add them with --selected."
        )
    if before.decision.by != "false_alarms":
        _say(
            f"the threshold stays {before.threshold:.4g}: it was chosen by {before.decision.by} for the model before "
            "this update. Choose it anew with `kizu threshold`."
        )


def _say(text: str) -> None:
    warnings.warn(text, KizuWarning, stacklevel=4)


def _written(inspector: Inspector, source: Path, target: Path, previous: str) -> Path:
    """Write the model once its previous version is kept, and any other in its place too; where the first is now."""
    with versions.unchanged(source, previous, target), versions.keeping(target) as folder:
        if target.exists():
            versions.keep(target, folder)
        kept = versions.keep(source, folder)
        inspector.save(target)
    return kept
