"""Good images → the preset and size that suit them, by defects drawn on some of them.

A part of the good images is held out, and defects are drawn on these (`kizu.synthetic`). Each candidate is fitted on
some of the others and ranks the held-out images, as they are and with defects. The quickest is taken of those that
come as near to the best as makes no difference. A test of significance would let a quick one pass that is worse, for
want of images: what a doubt costs then is defects, and otherwise a few milliseconds.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kizu import synthetic
from kizu.backbones import Located
from kizu.config import Config, parse
from kizu.datasets import Dataset, Sample, load_dataset, split_good
from kizu.errors import BackboneError, DataError, KizuWarning, ParameterError, bad_parameter
from kizu.images import DEFAULT_MAX_PIXELS, Area, Reading
from kizu.inspector import Inspector
from kizu.metrics import auroc, count_scores
from kizu.progress import Advance, Progress, Silent
from kizu.workflows._fit import fit, require_memory
from kizu.workflows._reading import AHEAD, Reader
from kizu.workflows._resolve import backbone_of, resolve

Image = npt.NDArray[np.uint8]
Float64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

CANDIDATES: tuple[tuple[str, int | None], ...] = (
    ("lite-fast", None),
    ("lite", None),
    ("lite", 384),
    ("accurate", None),
)
"""Presets, and sides in pixels other than their own, the quickest first."""

FEWEST = 20
"""Good images it takes: some to fit on, some to draw on."""

HELD_OUT = 0.3
"""Share of the good images that defects are drawn on, within `DRAWN_ON`."""

DRAWN_ON = (8, 40)
"""Held-out images, at least and at most."""

FITTED = 120
"""Images each candidate is fitted on, at most."""

ROOM = 64, 0.05
"""Pixels, and share of the inspected area, that lie on the object at least where defects are drawn on it alone."""

NOT_TRIED = ("tile_size", "window")
"""Settings that candidates cannot be judged with: sizes are those of tiles, and what is drawn is of 8 bits."""

EACH = 2
"""Defects drawn on each held-out image, one at a time."""

TOO_LITTLE = 0.01
"""Difference in AUROC that does not matter."""


@dataclass(frozen=True)
class Trial:
    """A candidate: ``auroc`` on synthetic defects, ``milliseconds`` an image (median). ``worse``: by how much less
    than the best where that matters, else None.
    """

    preset: str
    image_size: int
    auroc: float
    milliseconds: float
    worse: float | None

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Choice:
    """What was chosen of ``trials``, the quickest first; ``left_out``: presets that cannot be used here, and why."""

    preset: str
    image_size: int
    trials: tuple[Trial, ...]
    left_out: tuple[str, ...]
    fitted: int
    drawn_on: int

    @property
    def reason(self) -> str:
        """Why, in a sentence."""
        if len(self.trials) == 1:
            return "nothing else could be tried."
        best = max(self.trials, key=lambda trial: trial.auroc)
        chosen = next(t for t in self.trials if (t.preset, t.image_size) == (self.preset, self.image_size))
        if chosen is best:
            return "it ranks defects drawn on good images best."
        return (
            f"it is the quickest of those that rank defects drawn on good images about as well as the best "
            f"({best.preset} at {best.image_size} pixels: {best.auroc:.3f}, this one {chosen.auroc:.3f})."
        )

    def to_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return {
            "preset": self.preset,
            "image_size": self.image_size,
            "reason": self.reason,
            "trials": [trial.to_dict() for trial in self.trials],
            "left_out": list(self.left_out),
            "fitted": self.fitted,
            "drawn_on": self.drawn_on,
        }


def choose_preset(
    data: str | Path | Dataset,
    config: Config | None = None,
    *,
    skip_unreadable: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Progress | None = None,
) -> Choice:
    """The preset and the size of the square to fit ``data`` with; of ``config`` the rest is taken as it is.

    Presets that its ``memory`` does not hold are not tried; files skipped are left to the fit to name. Raises
    `DataError` for fewer than `FEWEST` good images that can be read, `ParameterError` for settings of `NOT_TRIED` and
    where memory holds no preset, `BackboneError` where none can be used, and as `kizu.fit` does.
    """
    given = config or parse({})
    for name in NOT_TRIED:
        if getattr(given, name):
            hint = "Candidates see images whole, and in 8 bits. Choose with --preset."
            raise bad_parameter(name, "left out with --auto", getattr(given, name), hint)
    dataset = data if isinstance(data, Dataset) else load_dataset(Path(data), seed=given.seed)
    to_fit, held_out = _divided(dataset, given.seed)
    candidates, left_out = _usable(given)
    candidates, too_large = _within_memory(candidates, dataset, given)
    left_out += too_large
    if not candidates:
        kind = ParameterError if too_large else BackboneError
        raise kind(f"no preset can be tried: {'; '.join(why.rstrip('.') for why in left_out)}.")
    trying = Trying(dataset, to_fit, held_out, skip_unreadable, max_pixels)
    with (progress or Silent()).stage("Trying presets", len(candidates)) as advance, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "skipped ", KizuWarning)  # the fit that follows names each, once
        tried = trying.run(candidates, advance)
    trials = _judged(tried)
    chosen = next(trial for trial in trials if trial.worse is None)
    return Choice(chosen.preset, chosen.image_size, trials, left_out, tried[0].fitted, len(tried[0].good))


def _divided(dataset: Dataset, seed: int) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """Images to fit on, and others to draw on; evenly thinned where there are many."""
    good = dataset.train_good()
    _require_enough(dataset, len(good), "good")
    few, many = DRAWN_ON
    to_fit, held_out = split_good(good, seed=seed, share=HELD_OUT, at_least=few)
    return to_fit[:: -(-len(to_fit) // FITTED)], held_out[:: -(-len(held_out) // many)]


def _require_enough(dataset: Dataset, count: int, kind: str) -> None:
    if count < FEWEST:
        raise DataError(
            f"{dataset.root}: {count} {kind} images are too few to try presets on; give {FEWEST}, or choose with "
            "--preset (`kizu presets list`)."
        )


def _usable(given: Config) -> tuple[list[Config], tuple[str, ...]]:
    """Complete configurations to try, and presets that cannot be used: their weights are not here, say."""
    found, missing = [], []
    for preset, side in CANDIDATES:
        said = given.model_dump(exclude_unset=True) | {"preset": preset, "check_images": 0, "calibration": None}
        said |= {"false_alarms": 0.5}  # scores alone are wanted: no promise, and no word of one
        said |= {"reduced_jpeg": False}  # defects are drawn on whole images
        complete = resolve(parse(said if side is None else said | {"image_size": side}))
        backbone = backbone_of(complete)
        file = backbone.weight_file() if isinstance(backbone, Located) else None
        if file is not None and file.missing:
            missing.append(f"{preset}: {file.missing}. Run: {file.obtain}")
        else:
            found.append(complete)
    return found, tuple(dict.fromkeys(missing))


def _within_memory(
    candidates: Sequence[Config], dataset: Dataset, given: Config
) -> tuple[list[Config], tuple[str, ...]]:
    """Those that the memory given holds a fit of all images of, and for the others what they need."""
    found, too_large = [], []
    for candidate in candidates:
        calibrated = candidate.model_copy(update={"calibration": given.calibration or candidate.calibration})
        try:
            if given.memory is not None:
                require_memory(dataset, calibrated, asked=given.calibration is not None)
            found.append(candidate)
        except ParameterError as error:
            too_large.append(f"{candidate.preset} at {candidate.image_size} pixels: {error}")
    return found, tuple(too_large)


@dataclass(frozen=True)
class Tried:
    """Scores of the held-out images, ``good`` ``(n,)`` and with defects ``bad`` ``(m,)``, by ``fitted`` others."""

    config: Config
    good: Float64
    bad: Float64
    milliseconds: float
    fitted: int

    @property
    def auroc(self) -> float:
        """Of the defects drawn."""
        labels = np.arange(len(self.good) + len(self.bad)) >= len(self.good)
        found = auroc(count_scores(np.concatenate([self.good, self.bad]), labels))
        if found is None:
            raise ValueError("there are good images and bad ones")
        return found


@dataclass(frozen=True)
class Trying:
    """What candidates are tried on."""

    dataset: Dataset
    to_fit: Sequence[Sample]
    held_out: Sequence[Sample]
    skip_unreadable: bool
    max_pixels: int

    def run(self, candidates: Sequence[Config], advance: Advance) -> list[Tried]:
        """Each, as `_side_by_side`; within a limit of memory, which counts a fit as if alone, one after the other."""
        if candidates[0].memory is None:
            return self._side_by_side(candidates, advance)
        return [tried for candidate in candidates for tried in self._side_by_side([candidate], advance)]

    def _side_by_side(self, candidates: Sequence[Config], advance: Advance) -> list[Tried]:
        """Fit each, and have all score one image after the other: so they are timed under the same conditions."""
        fitted = []
        for candidate in candidates:
            fitted.append(self._fitted(candidate))
            advance(1)
        bad, taken = [list[float]() for _ in fitted], [list[float]() for _ in fitted]
        with closing(self._with_defects(candidates[0], fitted[0][0].area)) as images:
            for image in images:
                for place, (inspector, _) in enumerate(fitted):
                    started = time.perf_counter()
                    bad[place].append(inspector.measure(image)[0])
                    taken[place].append(time.perf_counter() - started)
        counts = [inspector.provenance["data"]["fitted"] for inspector, _ in fitted]
        return [
            Tried(candidate, good, np.array(scores), 1e3 * statistics.median(seconds), count)
            for candidate, (_, good), scores, seconds, count in zip(
                candidates, fitted, bad, taken, counts, strict=True
            )
        ]

    def _fitted(self, candidate: Config) -> tuple[Inspector, Float64]:
        """An inspector, and its scores of the held-out images."""
        apart = tuple(replace(sample, split="calibration") for sample in self.held_out)
        fitted_on = replace(self.dataset, samples=(*self.to_fit, *apart))
        inspector = fit(fitted_on, candidate, skip_unreadable=self.skip_unreadable, max_pixels=self.max_pixels)
        if inspector.calibration is None:
            raise ValueError("a fit calibrates")
        read = inspector.provenance["data"]["fitted"] + len(inspector.calibration.scores)
        _require_enough(self.dataset, read, "readable good")
        return inspector, inspector.calibration.scores

    def _with_defects(self, config: Config, area: Area | None) -> Generator[Image, None, None]:
        """Each held-out image `EACH` times, with a defect each time; in the inspected ``area`` where there is one."""
        reading = Reading(channels=config.channels)
        ahead = AHEAD if config.memory is None else 1
        reader = Reader(reading, skip_unreadable=self.skip_unreadable, max_pixels=self.max_pixels, ahead=ahead)
        with closing(reader.images(list(self.held_out))) as read:
            images = (image for _, image in read)
            where = partial(_inspected, area=area)
            for defect in synthetic.draw_defects(images, seed=config.seed, each=EACH, where=where):
                yield defect.image


def _inspected(image: Image, area: Area | None) -> Mask:
    """Where on the object a defect is looked for: in the whole area where that has little or nothing of it."""
    found = synthetic.object_region(image)
    if area is None:
        return found
    mask = area.of((image.shape[0], image.shape[1]))
    both, (pixels, share) = found & mask, ROOM
    return both if both.sum() >= max(pixels, share * mask.sum()) else mask


def _judged(tried: Sequence[Tried]) -> tuple[Trial, ...]:
    """Every candidate against the best, the quickest first."""
    best = max(one.auroc for one in tried)
    trials = []
    for one in tried:
        less = best - one.auroc
        worse = less if less > TOO_LITTLE else None
        trials.append(Trial(one.config.preset or "", one.config.image_size or 0, one.auroc, one.milliseconds, worse))
    return tuple(sorted(trials, key=lambda trial: trial.milliseconds))
