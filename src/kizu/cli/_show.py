"""What the commands print on stdout: text for people, or one JSON document."""

from __future__ import annotations

import codecs
import json
import os
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kizu.cli._show_set_aside import set_aside
from kizu.errors import ParameterError

if TYPE_CHECKING:
    from kizu.datasets import DatasetSummary
    from kizu.images import Area
    from kizu.inspector import Inspector
    from kizu.workflows import Demo, Evaluation, Export, Predictions


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        return round(time.perf_counter() - self._started, 3)


def lines(texts: Iterable[str]) -> None:
    """Lines as they are."""
    for text in texts:
        print(text)


def document(content: Mapping[str, Any]) -> None:
    """The JSON document; what a console of another encoding cannot hold is escaped as JSON does it."""
    escaped = codecs.lookup(sys.stdout.encoding or "ascii").name != "utf-8"
    print(json.dumps(content, ensure_ascii=escaped, indent=2, allow_nan=False))


def quoted(path: Path | str) -> str:
    """A path as this system's command line takes it."""
    return subprocess.list2cmdline([str(path)]) if os.name == "nt" else shlex.quote(str(path))


def parts(save: str, out: Path | None) -> tuple[str, ...]:
    """``--save`` as names. Raises `ParameterError` for an unknown one, or without ``--out``."""
    from kizu.report import PARTS, check_parts

    names = tuple(name.strip() for name in save.split(",") if name.strip())
    if names and out is None:
        raise ParameterError("--save needs a folder to save to; add --out DIR.")
    chosen = check_parts(name for name in names if name != "all")
    return PARTS if "all" in names else chosen


def fitted(
    inspector: Inspector,
    target: Path,
    clock: Clock,
    summary: DatasetSummary,
    as_json: bool,
    more: Mapping[str, Any],
) -> None:
    """A new model: as text, or with the data's ``summary`` and ``more`` as JSON."""
    if as_json:
        found = {"model": str(target), "data": summary.to_dict(), **described(inspector), "seconds": clock.seconds}
        document({**found, **more})
        return
    data = inspector.provenance["data"]
    _skipped(data["skipped"])
    print(f"Fitted {inspector.detector.name} on {data['fitted']} good images in {clock.seconds:.1f} s.")
    lines(_window(inspector))
    lines(_cut(inspector, summary.most_common))
    lines(_tiles(inspector, summary.most_common))
    lines(_area(inspector, target))
    lines(set_aside(inspector))
    lines(_decisions(inspector))
    print(f"Wrote {target} ({target.stat().st_size / 2**20:.1f} MiB). Next: kizu predict {target} IMAGES")


_SCORED = {
    "leave_one_out": "each scored as if it had not been fitted on",
    "k_fold": "each scored by a fit on other parts of them",
    "hold_out": "held out of the fit",
    "given": "which the data sets apart for that",
}


def _decisions(inspector: Inspector) -> Iterator[str]:
    """What the thresholds are, and what they promise."""
    calibration = inspector.calibration
    if calibration is None:
        return
    share = calibration.promised
    yield (
        f"NG above {calibration.threshold:.4g}: at most {share:.2g} of good parts, by {len(calibration.scores)} good "
        f"images, {_SCORED[calibration.method]}."
    )
    if calibration.review_threshold < calibration.threshold:
        share = calibration.decision.review_budget
        yield f"REVIEW above {calibration.review_threshold:.4g}: {share:.2g} more of good parts, for a person to see."


def _cut(inspector: Inspector, size: tuple[int, int] | None) -> Iterator[str]:
    """That the edges of images of ``size`` (width, height) are not looked at, where it is so."""
    if size is None:
        return
    width, height = size
    seen = inspector.preprocessing.seen((height, width))
    if inspector.tiling is None and inspector.area is None and (seen.width, seen.height) != size:
        shares = f"{100 * seen.width / width:.0f} % x {100 * seen.height / height:.0f} %"
        what = f"(image_size {inspector.config.image_size}, cut out after a resize to {inspector.config.resize})"
        yield f"Only the middle {shares} of a {width} x {height} image is inspected {what}; the edges are not."


def _window(inspector: Inspector) -> Iterator[str]:
    """What of the files' samples the backbone sees, where that was chosen."""
    reading = inspector.reading
    if reading.window is not None:
        low, high = reading.window
        yield f"Samples from {low:g} to {high:g} are seen as levels from 0 to 255, not rounded."
    if reading.channels is not None:
        yield f"Of each file the channels {', '.join(map(str, reading.channels))} are seen."


def _tiles(inspector: Inspector, size: tuple[int, int] | None) -> Iterator[str]:
    """How images of ``size`` (width, height) are cut, where they are."""
    if inspector.tiling is None or size is None or (inspector.area is not None and not inspector.area.scales):
        return
    tiles = sum(len(row) for row in inspector.frame((size[1], size[0])).rows_of_tiles())
    fitted = inspector.config.random_tiles
    drawn = f", {min(fitted, tiles)} of them fitted on, drawn at random" if fitted else ""
    yield f"A {size[0]} x {size[1]} image is {tiles} tiles{drawn}."


def _area(inspector: Inspector, target: Path) -> Iterator[str]:
    """How much of an image is inspected, where not all of it is."""
    if inspector.area is not None:
        share = f"{inspector.area.share:.1%}"
        yield f"Inspected: {share} of the picture. To see which: kizu info {target} --area PICTURE.png"


def described(inspector: Inspector) -> dict[str, Any]:
    """What a model is, ready for JSON."""
    calibration = inspector.calibration
    return {
        "config": inspector.config.model_dump(mode="json"),
        "detector": inspector.detector.summary(),
        "calibration": calibration
        and {
            "threshold": calibration.threshold,
            "review_threshold": calibration.review_threshold,
            "pixel_threshold": calibration.pixel_threshold,
            "by": calibration.decision.by,
            "false_alarms": calibration.false_alarms,
            "promised": calibration.promised,
            "review_budget": calibration.decision.review_budget,
            "method": calibration.method,
            "images": len(calibration.scores),
        },
        **({} if inspector.area is None else {"area": _described_area(inspector.area)}),
        "provenance": {name: value for name, value in inspector.provenance.items() if name != "images"},
    }


def _described_area(area: Area) -> dict[str, Any]:
    height, width = area.size
    return {"share": round(area.share, 4), "width": width, "height": height, "other_sizes": area.scales}


def info(inspector: Inspector, path: Path, as_json: bool) -> None:
    """What a model is, a section a subject."""
    from kizu.inspector import identity

    content = described(inspector)
    if as_json:
        document({"model": str(path), "id": identity(path), **content})
        return
    print(f"{path} ({path.stat().st_size / 2**20:.1f} MiB), id {identity(path)}")
    settings = {name: value for name, value in content["config"].items() if name != "detector"}
    _section("Settings", settings)
    _section(f"Detector {inspector.detector.name}", inspector.detector.parameters())
    _section("Learnt", content["detector"])
    _section("Calibration", content["calibration"] or {})
    if inspector.area is not None:
        _section("Inspected area", content["area"])
    provenance = content["provenance"]
    _section("Data", provenance.get("data", {}))
    if provenance.get("history"):
        _section("Updates", {f"after {step['id']}": f"{step['added']} images" for step in provenance["history"]})
    _section("Backbone", provenance.get("backbone", {}))
    _section("Versions", provenance.get("versions", {}))


def _section(title: str, content: Mapping[str, Any]) -> None:
    print(f"\n{title}")
    for name, value in content.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        print(f"  {name:<24} {'-' if shown is None else shown}")


def predictions(results: Predictions, model: Path, out: Path | None, as_json: bool) -> None:
    """A line an image as it comes; or all in one document at the end."""
    clock, kept, verdicts = Clock(), [], Counter[str]()
    for prediction in results:
        verdicts[prediction.verdict] += 1
        scaled = results.scaled(prediction)
        name = results.scaled.name
        if as_json:
            kept.append(prediction.to_dict() | ({} if scaled is None else {name: scaled}))
            continue
        cells = [f"{prediction.score:.4f}", f"{prediction.threshold:.4f}", prediction.verdict.upper()]
        cells += [f"p={prediction.p_value:.4f}", *([] if scaled is None else [f"{name}={scaled:.4f}"])]
        print(prediction.path, *cells, f"{prediction.milliseconds:.1f} ms", sep="\t", flush=True)
    if as_json:
        counts = dict(sorted(verdicts.items()))
        found = {"predictions": kept, "counts": counts, "skipped": results.skipped}
        document({"model": str(model), **found, "seconds": clock.seconds})
        return
    _skipped(results.skipped)
    if out is not None:
        _wrote(out, sum(verdicts.values()))


def _wrote(out: Path, pictures: int) -> None:
    print(f"Wrote {out / 'predictions.csv'} and {pictures} picture{'' if pictures == 1 else 's'}.")


def _skipped(count: int) -> None:
    if count:
        print(f"Skipped {count} unreadable file{'s' if count > 1 else ''}.", file=sys.stderr)


def evaluation(result: Evaluation, out: Path | None, as_json: bool) -> None:
    """The metrics, in a few lines."""
    if as_json:
        document(result.to_dict())
        return
    image, pixel = result.image, result.pixel
    counts = ", ".join(f"{name} {count}" for name, count in result.counts.items())
    _skipped(result.skipped)
    print(f"{len(result.results)} images in {result.seconds:.1f} s: {counts}")
    print(f"Image  AUROC {_figure(image.auroc)}  AP {_figure(image.ap)}  best F1 {_figure(image.f1_max)}")
    print(
        f"At the threshold {image.threshold:.4g}: accuracy {_figure(image.accuracy)}, "
        f"precision {_figure(image.precision)}, recall {_figure(image.recall)}"
    )
    print(f"  good parts called NG: {image.fp} of {image.fp + image.tn}")
    print(f"  defects called OK:    {image.fn - result.verdicts['bad']['review']} of {image.fn + image.tp}")
    reviews = [f"{result.verdicts[label]['review']} {label}" for label in ("good", "bad")]
    print(f"  for a person:         {' and '.join(reviews)}")
    if pixel is None:
        print("Pixel  no masks, so no pixel metrics")
    else:
        ranking = f"AUROC {_figure(pixel.auroc)}  AP {_figure(pixel.ap)}  best F1 {_figure(pixel.f1_max)}"
        print(f"Pixel  {ranking}  PRO {_figure(pixel.aupro)}")
    if out is not None:
        _wrote(out, len(result.results))


def exported(result: Export, model: Path, as_json: bool) -> None:
    """What was written, and how far it is from the model."""
    if as_json:
        document({"model": str(model), **result.to_dict()})
        return
    agreement = result.agreement
    names = " and ".join(map(str, result.files))
    size = "any size" if result.image_size == "any" else f"{result.image_size} pixels"
    samples = "" if result.dtype == "uint8" else f", the camera's samples as {result.dtype}"
    print(f"Wrote {names} ({result.size / 2**20:.1f} MiB), for {result.colour.upper()} images of {size}{samples}.")
    score, map_ = f"{agreement.score:.1g} of their value", f"{agreement.map:.1g} of their range"
    print(f"Checked on {agreement.images} images: scores differ from the model's by {score} at most, maps by {map_}.")
    if result.search != "exact":
        print(
            "The model searches its memory bank approximately, the export exactly; it was compared with exact search."
        )
    print(f"An image takes {agreement.milliseconds:.1f} ms, in kizu {agreement.inspector_milliseconds:.1f} ms.")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def demo(result: Demo, out: Path, clock: Clock, as_json: bool) -> None:
    """What the demo did, and where to look."""
    if as_json:
        model = {"model": str(result.model), **described(result.inspector)}
        document({**model, **result.evaluation.to_dict(), "out": str(out), "seconds": clock.seconds})
        return
    fitted_on = result.inspector.provenance["data"]["fitted"]
    print(f"Fitted on {fitted_on} good solar cells; tested on others, good and defective.")
    evaluation(result.evaluation, out, as_json=False)
    print(f"Took {clock.seconds:.1f} s in all. Look at the pictures in {out}; the model is {result.model}.")
