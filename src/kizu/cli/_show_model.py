"""What the commands print of a model: a new one in some lines, one that is there a section a subject."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kizu.cli._show import Clock, document, line, lines, skipped
from kizu.cli._show_set_aside import set_aside
from kizu.errors import quoted
from kizu.memory import mebibytes
from kizu.wording import percent, plural

if TYPE_CHECKING:
    from kizu.datasets import DatasetSummary
    from kizu.images import Area
    from kizu.inspector import Inspector


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
    skipped(data["skipped"])
    print(f"Fitted {inspector.detector.name} on {data['fitted']} good images in {clock.seconds:.1f} s.")
    lines(_window(inspector))
    lines(_cut(inspector, summary.most_common))
    lines(_tiles(inspector, summary.most_common))
    lines(_area(inspector, target))
    lines(set_aside(inspector))
    lines(_decisions(inspector))
    line(f"Wrote {target} ({mebibytes(target.stat().st_size)}). Next: kizu predict {quoted(target)} IMAGES")


SCORED = {
    "leave_one_out": "each scored as if it had not been fitted on",
    "k_fold": "each scored by a fit on other parts of them",
    "hold_out": "held out of the fit",
    "given": "which the data sets apart for that",
}
"""How the good images were scored that thresholds come from, by the method of calibration."""


def _decisions(inspector: Inspector) -> Iterator[str]:
    """What the thresholds are, and what they promise."""
    calibration = inspector.calibration
    if calibration is None:
        return
    share = percent(calibration.promised)
    yield (
        f"NG above {calibration.threshold:.4g}: at most {share} of good parts, by {len(calibration.scores)} good "
        f"images, {SCORED[calibration.method]}."
    )
    if calibration.review_threshold < calibration.threshold:
        share = percent(calibration.reviewed)
        yield f"REVIEW above {calibration.review_threshold:.4g}: {share} more of good parts, for a person to see."


def _cut(inspector: Inspector, size: tuple[int, int] | None) -> Iterator[str]:
    """That the edges of images of ``size`` (width, height) are not looked at, where it is so."""
    if size is None:
        return
    width, height = size
    seen = inspector.preprocessing.seen((height, width))
    if inspector.tiling is None and inspector.area is None and (seen.width, seen.height) != size:
        shares = f"{100 * seen.width / width:.0f} % x {100 * seen.height / height:.0f} %"
        config = inspector.config
        resized = "a resize of the shorter side" if config.keep_aspect else "a resize"
        what = f"(image_size {config.image_size}, cut out after {resized} to {config.resize or config.image_size})"
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
    shown, seen = inspector.config.tile_size, inspector.engine.image_size
    scaled = "" if shown == seen else f", each brought from {shown} to {seen} pixels"
    yield f"A {size[0]} x {size[1]} image is {plural(tiles, 'tile')}{scaled}{drawn}."


def _area(inspector: Inspector, target: Path) -> Iterator[str]:
    """How much of an image is inspected, where not all of it is."""
    if inspector.area is not None:
        share = percent(inspector.frame(inspector.area.size).inspected.mean())
        yield f"Inspected: {share} of the picture. To see which: kizu info {quoted(target)} --area PICTURE.png"


def described(inspector: Inspector) -> dict[str, Any]:
    """What a model is, ready for JSON."""
    calibration = inspector.calibration
    return {
        "config": inspector.config.model_dump(mode="json"),
        "detector": inspector.detector.summary(),
        "calibration": calibration
        and {
            **calibration.figures,
            "by": calibration.decision.by,
            "false_alarms": calibration.false_alarms,
            "review_budget": calibration.decision.review_budget,
            "method": calibration.method,
            "images": len(calibration.scores),
        },
        **({} if inspector.area is None else {"area": _described_area(inspector, inspector.area)}),
        "provenance": {name: value for name, value in inspector.provenance.items() if name != "images"},
    }


def _described_area(inspector: Inspector, area: Area) -> dict[str, Any]:
    height, width = area.size
    share = float(inspector.frame(area.size).inspected.mean())
    return {"share": round(share, 4), "width": width, "height": height, "other_sizes": area.scales}


def info(inspector: Inspector, path: Path, as_json: bool) -> None:
    """What a model is, a section a subject."""
    from kizu.inspector import identity
    from kizu.workflows import steps_of

    steps, made = steps_of(inspector.provenance, path), _made_from(inspector.provenance, path)
    content = described(inspector)
    if as_json:
        document({"model": str(path), "id": identity(path), **content})
        return
    line(f"{path} ({mebibytes(path.stat().st_size)}), id {identity(path)}")
    settings = {name: value for name, value in content["config"].items() if name != "detector"}
    _section("Settings", settings)
    _section(f"Detector {inspector.detector.name}", inspector.detector.parameters())
    _section("Learnt", content["detector"])
    _section("Calibration", content["calibration"] or {})
    if inspector.area is not None:
        _section("Inspected area", content["area"])
    _section("Data", made["data"])
    if steps:
        _section("Updates", {f"after {step.id}": plural(len(step.names), "image") for step in steps})
    _section("Backbone", made["backbone"])
    _section("Versions", made["versions"])


def _made_from(provenance: Mapping[str, Any], path: Path) -> dict[str, Mapping[str, Any]]:
    """What `info` shows of a provenance. Raises `ModelFileError`."""
    from kizu.errors import ModelFileError

    made = {name: provenance.get(name, {}) for name in ("data", "backbone", "versions")}
    for name, content in made.items():
        if not isinstance(content, Mapping):
            problem = f"the model file is damaged: its provenance has no readable {name}"
            raise ModelFileError(f"{path}: {problem}. Restore it or fit again.")
    return made


def _section(title: str, content: Mapping[str, Any]) -> None:
    print(f"\n{title}")
    for name, value in content.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        line(f"  {name:<24} {'-' if shown is None else shown}")
