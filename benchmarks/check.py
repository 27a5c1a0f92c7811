"""What `kizu check` finds: in data as it is, of copies made on purpose, and of defects smuggled in among the good.

Three tables. ``check_flags``: findings a kind in each data set as it comes. ``check_copies``: ten good images copied
with one change each, and how many copies are found; ``others`` counts groups of copies without one of them.
``check_suspects``: ten defects called good, and how many are among the twenty images listed first.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

import _data
import _results
from kizu.checks import duplicates
from kizu.datasets import Dataset, Sample
from kizu.images import read_image
from kizu.report import write_image
from kizu.workflows import check

Image = npt.NDArray[np.uint8]
COPIES = 10
SMUGGLED = 10


def warped(image: Image, scale: float, x: float, y: float) -> Image:
    """Scaled about the middle and moved, the size kept and the border repeated."""
    height, width = image.shape[:2]
    matrix = np.array([[scale, 0, x + (1 - scale) * width / 2], [0, scale, y + (1 - scale) * height / 2]])
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def resized(image: Image, factor: float) -> Image:
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=method), np.uint8)


def lit(image: Image, factor: float) -> Image:
    return np.asarray((image * factor + 0.5).clip(0, 255), np.uint8)


def save_jpeg(quality: int) -> Callable[[Path, Image], None]:
    def save(path: Path, image: Image) -> None:
        data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        path.with_suffix(".jpg").write_bytes(data.tobytes())

    return save


def save_png(change: Callable[[Image], Image]) -> Callable[[Path, Image], None]:
    return lambda path, image: write_image(path.with_suffix(".png"), change(image))


CHANGES: dict[str, Callable[[Path, Image], None]] = {
    "none, as PNG": save_png(lambda image: image),
    "none, as BMP": lambda path, image: write_image(path.with_suffix(".bmp"), image),
    **{f"JPEG, quality {quality}": save_jpeg(quality) for quality in (95, 85, 75, 50)},
    "5 % brighter": save_png(lambda image: lit(image, 1.05)),
    "5 % darker": save_png(lambda image: lit(image, 0.95)),
    "cut by 1 pixel": save_png(lambda image: image[1:, 1:]),
    "cut by 2 pixels": save_png(lambda image: image[2:, :-2]),
    "moved by 2 pixels": save_png(lambda image: warped(image, 1, 2, -2)),
    "2 % nearer": save_png(lambda image: warped(image, 1.02, 0, 0)),
    "2 % farther": save_png(lambda image: warped(image, 0.98, 0, 0)),
    "saved at 98 %": save_png(lambda image: resized(image, 0.98)),
    "saved at half size": save_png(lambda image: resized(image, 0.5)),
    "cut, nearer, brighter, JPEG 75": lambda path, image: save_jpeg(75)(
        path, lit(warped(image[1:, 2:], 1.02, 0, 0), 1.05)
    ),
}


def flags(name: str, data: Dataset) -> Iterator[_results.Row]:
    """A row a kind of finding: how many, and how many images they name."""
    result = check(data, suspects=False)
    paths = {sample.path for sample in data.samples}
    kinds = dict.fromkeys((finding.kind, finding.severity) for finding in result.findings)
    for kind, severity in kinds:
        found = [one for one in result.findings if (one.kind, one.severity) == (kind, severity)]
        images = {path for one in found for path in one.paths} & paths
        figures = {"findings": len(found), "named": len(images), "images": result.images, "seconds": result.seconds}
        yield {"data": name, "kind": kind, "severity": severity, **figures}


def copies(name: str, data: Dataset, change: str, limit: int | None) -> _results.Row:
    """Copy ten good images with one change, put the copies into the test split, and look for them."""
    rng = np.random.default_rng(0)
    good = [sample for sample in data.samples if sample.label == "good"]
    if limit is not None and limit < len(good):
        good = [good[number] for number in sorted(rng.choice(len(good), limit, replace=False))]
    originals = [good[number] for number in rng.choice(len(good), COPIES, replace=False)]
    with tempfile.TemporaryDirectory() as folder:
        for number, sample in enumerate(originals):
            CHANGES[change](Path(folder) / f"{number:02}", read_image(sample.path))
        made = {path: originals[int(path.stem)].path for path in Path(folder).iterdir()}
        added = [Sample(path, "test", "good", "good") for path in made]
        result = check(replace(data, samples=(*good, *added)), suspects=False)
    groups = [set(one.paths) for one in result.findings if one.kind in COPY_KINDS]
    alike = {path for one in result.findings if one.kind == "look_alikes" for path in one.paths}
    found = [path for path, original in made.items() if any({path, original} <= group for group in groups)]
    return {
        "data": name,
        "change": change,
        "found": len(found),
        "look_alikes": len(alike & (set(made) - set(found))),
        "copies": COPIES,
        "others": sum(not group & set(made) for group in groups),
        "images": len(good) + COPIES,
    }


COPY_KINDS = {words.kind for words in (*duplicates.SAME, *duplicates.NEAR)}


def smuggled(name: str, data: Dataset, seed: int) -> _results.Row:
    """Call ten defects good, and see where they come among the suspects."""
    defects = [sample for sample in data.samples if sample.label == "bad"]
    drawn = np.random.default_rng(seed).choice(len(defects), SMUGGLED, replace=False)
    hidden = [Sample(defects[number].path, "train", "good", "good") for number in drawn]
    paths = {sample.path for sample in hidden}
    result = check(replace(data, samples=(*data.train_good(), *hidden)))
    first, beyond = result.suspects[:20], [one for one in result.suspects if one.beyond]
    return {
        "data": name,
        "seed": seed,
        "smuggled": SMUGGLED,
        "in_first_20": sum(one.path in paths for one in first),
        "stand_out": sum(one.path in paths for one in beyond),
        "good_standing_out": sum(one.path not in paths for one in beyond),
        "good": result.scored - SMUGGLED,
        "kinds": ", ".join(f"{count} {kind}" for kind, count in _kinds(defects, drawn).items()),
    }


def _kinds(defects: Sequence[Sample], drawn: npt.NDArray[np.int64]) -> Counter[str]:
    return Counter(defects[number].defect_type for number in drawn)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _options()
    options = parser.parse_args(arguments)
    if not options.data and not options.solar:
        parser.error("name data sets, or give --solar")
    flagged: list[_results.Row] = []
    copied: list[_results.Row] = []
    hidden: list[_results.Row] = []
    names: list[str] = []
    for name, data in _data.named(options.data, _data.CELLS if options.solar else ()):
        _results.note(f"{name}: as it is")
        names.append(name)
        flagged += flags(name, data)
        for change in () if options.no_copies else CHANGES:
            _results.note(f"{name}: {change}")
            copied.append(copies(name, data, change, options.limit))
        for seed in options.seeds:
            _results.note(f"{name}: smuggled, seed {seed}")
            hidden.append(smuggled(name, data, seed))
    _results.forget("check_flags", names, options.results)  # of kinds that are no longer found nothing stays
    for table, rows, key in (
        ("check_flags", flagged, ("data", "kind", "severity")),
        ("check_copies", copied, ("data", "change")),
        ("check_suspects", hidden, ("data", "seed")),
    ):
        if rows:
            _results.save(table, rows, key=key, folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    parser.add_argument("data", nargs="*", type=Path, metavar="DATA", help="folders or lists of images")
    parser.add_argument("--solar", action="store_true", help="the solar cells, mono and poly, too")
    parser.add_argument("--limit", type=int, default=400, help="good images that copies hide among (400)")
    parser.add_argument("--seeds", type=_results.listed(int), default=[0, 1, 2], help="of smuggled defects (0,1,2)")
    parser.add_argument("--no-copies", action="store_true", help="leave the copies out")
    return parser


if __name__ == "__main__":
    _results.run(main)
