"""A model on a data set as one HTML file, and as PDF."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kizu.calibration import VERDICTS
from kizu.datasets import Dataset, Sample, load_dataset
from kizu.datasets.folder import LAYOUT as PLAIN
from kizu.errors import DataError
from kizu.images import DEFAULT_MAX_PIXELS, Reading, is_image
from kizu.inspector import Inspector
from kizu.progress import Progress, Silent
from kizu.report.pdf import find_chromium, print_pdf
from kizu.workflows._check import check as check_data
from kizu.workflows._gathering import Gathering
from kizu.workflows._history import warn_of_known
from kizu.workflows._image_files import find_files
from kizu.workflows._outputs import Scaling
from kizu.workflows._predict import inspect_samples, load
from kizu.workflows._reading import Reader
from kizu.workflows._report_target import ReportTarget

NO_LABELS = "images without labels"
"""What `make_report` calls the layout of images that nobody has labelled."""


@dataclass(frozen=True, eq=False)
class Report:
    """What was written: ``pdf`` is None where none was asked for. ``verdicts``: of how many images.
    ``kept_for_fitting``: good images that were not judged, since a seed divides them.
    """

    page: Path
    coco: Path
    pdf: Path | None
    images: int
    verdicts: dict[str, int]
    labelled: bool
    skipped: int
    kept_for_fitting: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return {
            "report": str(self.page),
            "coco": str(self.coco),
            "pdf": None if self.pdf is None else str(self.pdf),
            "bytes": self.page.stat().st_size,
            "images": self.images,
            "labelled": self.labelled,
            "verdicts": self.verdicts,
            "skipped": self.skipped,
            "kept_for_fitting": self.kept_for_fitting,
            "seconds": round(self.seconds, 3),
        }


def make_report(
    model: str | Path | Inspector,
    data: str | Path | Dataset,
    out: str | Path | ReportTarget,
    *,
    pdf: bool = False,
    chromium: str | Path | None = None,
    check: bool = True,
    min_area: int = 1,
    skip_unreadable: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Progress | None = None,
) -> Report:
    """Inspect ``data`` and write what came of it as an HTML file that needs nothing else.

    The labelled test images of ``data`` are inspected, as `evaluate` does; of a plain folder of images, or of a
    single image, all of it, without labels. ``pdf``: print it too, with the Chromium at ``chromium`` or one that is
    installed. ``check``: look through labelled data for what is wrong with it, as `kizu check` does but without its
    search for defects among the good images.

    Raises:
        DataError: there is nothing to inspect.
        ImageError: a file cannot be read, and is not to be skipped.
        MissingExtraError: plotly, Jinja2 or, for a PDF, Chromium is missing.
        OutputError: the report cannot be written; an existing one stays as it was.
    """
    started = time.perf_counter()
    target = ReportTarget.at(out, model)
    if pdf:
        target.check_pdf()
    program = find_chromium(chromium) if pdf else None
    inspector = model if isinstance(model, Inspector) else load(model)
    dataset = _dataset(data, inspector.config.seed)
    samples = [s for s in dataset.test() if s.label is not None or dataset.layout == NO_LABELS]
    reader = Reader(inspector.reading, skip_unreadable=skip_unreadable, max_pixels=max_pixels)
    shown = progress or Silent()
    gathered = _inspected(inspector, dataset.root, samples, reader, min_area, shown)
    if any(sample.label is not None for sample in samples):
        warn_of_known(inspector, reader.digests)
    findings = None
    if check and dataset.layout != NO_LABELS:
        found = check_data(dataset, suspects=False, max_pixels=max_pixels, progress=shown).findings
        seen_to = _seen_to(inspector.reading)
        findings = tuple(finding for finding in found if finding.kind not in seen_to)
    content = gathered.content(target, reader.skipped, findings)
    target.write(content, shown)
    if program is not None:
        with shown.stage("Printing the report", 1) as advance:
            print_pdf(target.page, target.pdf, program)
            advance(1)
    verdicts = Counter(image.verdict for image in content.images)
    return Report(
        page=target.page,
        coco=target.coco,
        pdf=target.pdf if pdf else None,
        images=len(content.images),
        verdicts={verdict: verdicts[verdict] for verdict in VERDICTS},
        labelled=content.labelled,
        skipped=len(reader.skipped),
        kept_for_fitting=dataset.kept_for_fitting(),
        seconds=time.perf_counter() - started,
    )


def _inspected(
    inspector: Inspector, root: Path, samples: Sequence[Sample], reader: Reader, min_area: int, progress: Progress
) -> Gathering:
    gathered = Gathering(inspector, len(samples), root, min_area=min_area)
    scaling = Scaling("p_value", inspector.calibration)
    with closing(inspect_samples(inspector, samples, reader, None, (), progress, scaling)) as every:
        for inspected in every:
            gathered.add(inspected)
    return gathered


def _dataset(data: str | Path | Dataset, seed: int) -> Dataset:
    """The labelled test images as they are; all images, without labels, of a plain folder or of a single file."""
    if not isinstance(data, Dataset):
        path = Path(data)
        if path.is_file() and is_image(path):
            return _unlabelled(path)
        data = load_dataset(path, seed=seed)
    if any(sample.label is not None for sample in data.test()):
        return data
    if data.layout == PLAIN:
        return _unlabelled(data.root)
    raise DataError(
        f"{data.root}: no labelled test images ({data.layout}). For a report without labels give a folder of images."
    )


def _unlabelled(path: Path) -> Dataset:
    return Dataset(path, NO_LABELS, tuple(Sample(file, "test", None, "") for file in find_files([path])))


def _seen_to(reading: Reading) -> set[str]:
    """The kinds of findings that are no matter to a model, as it reads what they say would be lost."""
    met = {"depth": reading.window is not None, "pages": reading.channels is not None}
    return {kind for kind, is_met in met.items() if is_met}
