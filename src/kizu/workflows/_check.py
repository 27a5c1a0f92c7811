"""A data set → what may be wrong with it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from kizu import detectors
from kizu.checks import (
    SEVERITIES,
    Finding,
    Look,
    Suspect,
    appearance,
    duplicates,
    files,
    look,
    masks,
    outliers,
    similarity,
    uniformity,
)
from kizu.datasets import Dataset, Sample, load_dataset
from kizu.errors import DataError, ImageError, sentence
from kizu.files import prepare_folder
from kizu.images import DEFAULT_MAX_PIXELS, read_ahead
from kizu.inspector import Inspector
from kizu.progress import Progress, Silent
from kizu.workflows._check_outputs import SUSPECT_TABLE, Suspicion, write_findings, write_suspects
from kizu.workflows._earlier import warn_of_earlier
from kizu.workflows._fit import fit

WORKERS = 4
"""Threads that read files and compare thumbnails; OpenCV lets them run side by side."""


@dataclass(frozen=True, eq=False)
class DataCheck:
    """What a check found, worst first.

    ``counts``: images by split and kind, ``unreadable`` ones among them. ``suspects``: the good images for training
    that look least like the others, of ``scored`` ones; ``not_scored``: why there are none (empty: there are).
    """

    root: Path
    product: str
    layout: str
    counts: dict[str, dict[str, int]]
    unreadable: int
    findings: tuple[Finding, ...]
    suspects: tuple[Suspect, ...]
    scored: int
    not_scored: str
    seconds: float

    @property
    def images(self) -> int:
        """All images, unreadable ones included."""
        return sum(sum(kinds.values()) for kinds in self.counts.values())

    def number(self, severity: str) -> int:
        """Findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return {
            "root": str(self.root),
            "product": self.product,
            "layout": self.layout,
            "images": self.images,
            "unreadable": self.unreadable,
            "counts": self.counts,
            **{f"{severity}s": self.number(severity) for severity in SEVERITIES},
            "findings": [finding.to_dict() for finding in self.findings],
            "scored": self.scored,
            "not_scored": self.not_scored,
            "suspects": [suspect.to_dict() for suspect in self.suspects],
            "seconds": round(self.seconds, 3),
        }


def check(
    data: str | Path | Dataset,
    *,
    out: str | Path | None = None,
    suspects: bool = True,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Progress | None = None,
) -> DataCheck:
    """Look for what may be wrong with the images and masks of ``data``; tables and pictures go to ``out``.

    Every file is decoded once; the search for ``suspects``, defects among the good images, reads those for training
    again. What is wrong inside a data set is a finding and not an error.

    Raises:
        DataError: the data set itself is missing, empty or of an unknown layout.
        OutputError: ``out`` cannot be written to.
    """
    started, progress = time.perf_counter(), progress or Silent()
    dataset = data if isinstance(data, Dataset) else load_dataset(Path(data))
    if out is not None:
        prepare_folder(out)
    looks, errors = _looks(dataset.samples, max_pixels, progress)
    findings = list(_findings(dataset, looks, errors, progress))
    found, why_not = _suspects(dataset, looks, max_pixels, progress) if suspects else (None, "not asked for")
    if found is not None and out is not None:
        found = write_suspects(Path(out), found, max_pixels)
    findings += outliers.hiding(found.suspects) if found is not None else []
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))  # stable: kinds stay together
    if out is not None:
        write_findings(Path(out), findings)
        if found is None:
            warn_of_earlier(Path(out), [SUSPECT_TABLE])
    return DataCheck(
        root=dataset.root,
        product=dataset.product,
        layout=dataset.layout,
        counts=dataset.counts(),
        unreadable=len(errors),
        findings=tuple(findings),
        suspects=() if found is None else found.suspects,
        scored=0 if found is None else found.scored,
        not_scored=why_not,
        seconds=time.perf_counter() - started,
    )


def _looks(samples: Sequence[Sample], max_pixels: int, progress: Progress) -> tuple[list[Look], list[ImageError]]:
    """Every image that can be read, measured; and what is wrong with the others."""
    looks, errors = [], []
    with (
        progress.stage("Looking at images", len(samples)) as advance,
        closing(read_ahead(samples, lambda sample: look(sample, max_pixels), workers=WORKERS)) as ahead,
    ):
        for fetched in ahead:
            try:
                looks.append(fetched.get())
            except ImageError as error:
                errors.append(error)
            advance(1)
    return looks, errors


def _findings(
    dataset: Dataset, looks: Sequence[Look], errors: Sequence[ImageError], progress: Progress
) -> Iterator[Finding]:
    yield from files.unreadable(errors)
    yield from duplicates.exact(looks)
    groups = duplicates.same_pixels(looks)
    yield from duplicates.near(groups, _pairs(groups, progress))
    yield from masks.wrong_masks(looks)
    yield from masks.left_over(dataset)
    yield from uniformity.odd_ones(looks)
    yield from appearance.odd_looks(looks)
    yield from files.shallow(looks)
    yield from files.further_pages(looks)
    yield from files.too_few(looks)
    yield from files.left_out(dataset)


def _pairs(groups: Sequence[Sequence[Look]], progress: Progress) -> list[duplicates.Pair]:
    """The pairs of different images that may show one photograph, and how alike they are."""
    if len(groups) < 2:
        return []
    thumbnails = np.stack([group[0].thumbnail for group in groups])
    chosen = list(similarity.candidates(thumbnails))

    def compare(pair: tuple[int, int]) -> float:
        return similarity.similarity(thumbnails[pair[0]], thumbnails[pair[1]])

    with (
        progress.stage("Comparing pairs of images", len(chosen)) as advance,
        closing(read_ahead(chosen, compare, workers=WORKERS, ahead=64)) as ahead,
    ):
        found = []
        for fetched in ahead:
            found.append((*fetched.item, fetched.get()))
            advance(1)
    return found


def _suspects(
    dataset: Dataset, looks: Sequence[Look], max_pixels: int, progress: Progress
) -> tuple[Suspicion | None, str]:
    """The good images for training that look least like the others; or why that cannot be said.

    Of copies only one takes part: beside its copy nothing looks strange.
    """
    readable = {group[0].sample for group in duplicates.same_pixels(looks)}
    good = [sample for sample in dataset.train_good() if sample in readable]
    if len(good) < outliers.FEWEST:
        return None, f"{len(good)} different good images for training; it takes {outliers.FEWEST}"
    alone = replace(dataset, samples=tuple(good), remarks=())
    window = "auto" if any(files.shallow(looks)) else None
    asked: dict[str, Any] = {"calibration": "leave_one_out", "false_alarms": 0.5, "window": window}
    try:
        inspector = fit(alone, max_pixels=max_pixels, progress=progress, **asked)
    except ImageError as error:  # it could be read a moment ago
        raise DataError(f"{sentence(error)} The files changed during the check; run it again.") from None
    return _ranked(inspector, [sample.path for sample in good]), ""


def _ranked(inspector: Inspector, paths: Sequence[Path]) -> Suspicion:
    left_out = cast(detectors.LeavesOneOut, inspector.detector).left_out_
    found = outliers.suspects(paths, left_out.images)
    place = {path: number for number, path in enumerate(paths)}
    size = (inspector.engine.image_size, inspector.engine.image_size)  # of the map, whatever that of the image
    maps: list[npt.NDArray[np.float32]] = [inspector.map_of(left_out.patches[place[one.path]], size) for one in found]
    peaks = [float(inspector.map_of(patches, size).max()) for patches in left_out.patches]
    limit, pixel_limit = outliers.limit_of(left_out.images), float(np.median(peaks))
    return Suspicion(found, len(paths), maps, limit, pixel_limit, inspector.reading)
