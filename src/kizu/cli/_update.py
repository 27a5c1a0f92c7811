"""``kizu update``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kizu.cli import _options
from kizu.errors import ParameterError, quoted, some
from kizu.memory import mebibytes
from kizu.wording import plural

if TYPE_CHECKING:
    from kizu.workflows import Restored, Update, Version

_NAMED = 3  # images in a line


def update(
    model: _options.Model,
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Good images to add, or folders of them.", metavar="PATH")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The model file to write. [default: MODEL]", metavar="FILE")
    ] = None,
    selected: Annotated[
        bool,
        typer.Option(
            "--selected",
            help="The images were picked by what the model said of them, as false alarms are: learn them, but do not "
            "calibrate by them. [default: off]",
        ),
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Bring back the version before the last update. [default: off]")
    ] = False,
    restore: Annotated[
        str | None,
        typer.Option(help="Bring back the version of this id, or its beginning. [default: none]", metavar="ID"),
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="List the versions and stop. [default: off]")] = False,
    skip_unreadable: _options.SkipUnreadable = False,
    max_pixels: _options.MaxPixels = _options.DEFAULT_MAX_PIXELS,
    as_json: _options.Json = False,
) -> None:
    """Add good images to a model.

    A new batch, or false alarms with --selected; the old images are not needed. Thresholds follow, the version before
    is kept.
    """
    from kizu import workflows
    from kizu.cli import _show
    from kizu.cli._progress import Bars

    if [bool(paths), undo, restore is not None, history].count(True) != 1:
        raise ParameterError("name images to add, or one of --undo, --restore ID and --history.")
    if paths:
        result = workflows.update(
            model,
            paths,
            out=out,
            selected=selected,
            skip_unreadable=skip_unreadable,
            max_pixels=max_pixels,
            progress=Bars(),
        )
        _show.document(result.to_dict()) if as_json else _show.lines(_updated(result))
    elif out is not None or selected:
        raise ParameterError("--out and --selected are for adding images; name some, or leave these options out.")
    elif history:
        versions = workflows.history(model)
        content = {"model": str(model), "versions": [version.to_dict() for version in versions]}
        _show.document(content) if as_json else _show.lines(_listed(model, versions))
    else:
        restored = workflows.undo(model) if restore is None else workflows.restore(model, restore)
        _show.document(restored.to_dict()) if as_json else _show.lines(_restored(restored))


def _updated(result: Update) -> Iterator[str]:
    detector, before, after = result.inspector.detector, result.before, result.after
    yield f"Added {plural(len(result.added), 'image')} to {detector.name} in {result.seconds:.1f} s."
    if result.repeated:
        names = some([path.name for path in result.repeated], _NAMED)
        yield f"Left out {plural(len(result.repeated), 'image')} that the model has already: {names}."
    if result.skipped:
        yield f"Skipped {result.skipped} unreadable file{'s' if result.skipped > 1 else ''}."
    changed = {name: value for name, value in detector.summary().items() if value != result.knew.get(name)}
    if changed:
        yield "Now " + ", ".join(f"{name} {new} (before: {result.knew.get(name)})" for name, new in changed.items())
    by = f"{len(before.scores)} + {result.calibrating}" if result.calibrating else f"the same {len(before.scores)}"
    by = "the new" if len(after.scores) == result.calibrating else by
    yield (
        f"NG above {after.threshold:.4g} (before: {before.threshold:.4g}), REVIEW above {after.review_threshold:.4g} "
        f"(before: {before.review_threshold:.4g}), by {by} good images."
    )
    if result.alarming:
        now = f"still: {some([path.name for path in result.still], _NAMED)}" if result.still else "now all are OK"
        yield f"{plural(len(result.alarming), 'image')} of those added had been NG or for review; {now}."
    yield f"Wrote {result.path} ({mebibytes(result.path.stat().st_size)}), id {result.id}."
    size = result.kept.stat().st_size
    kept = f"{result.kept} ({mebibytes(size)})"
    yield f"Kept the version before as {kept}. To go back: kizu update {quoted(result.path)} --undo"


def _restored(result: Restored) -> Iterator[str]:
    yield f"{result.path} is {result.id} again."
    if result.replaced and result.replaced != result.id:
        back = f"kizu update {quoted(result.path)} --restore {result.replaced}"
        yield f"Kept {result.replaced}. To bring that back: {back}"


def _listed(model: Path, versions: list[Version]) -> Iterator[str]:
    """Newest first, and what keeping them takes."""
    for version in versions:
        where = "now" if version.current else _kept(version.size)
        if version.aside:
            what = "set aside"
        elif version.names is None:
            what = "as fitted"
        else:
            what = f"{plural(len(version.names), 'image')} added: {some(version.names, _NAMED)}"
        yield f"{version.id}  {where:<15}  {what}"
    sizes = [version.size or 0 for version in versions if not version.current and version.path]
    if sizes:
        folder = next(version.path.parent for version in versions if not version.current and version.path)
        yield f"{folder} takes {mebibytes(sum(sizes))}; delete what is not needed."
    else:
        yield f"No other version of {model} is kept."


def _kept(size: int | None) -> str:
    return "not kept" if size is None else f"kept, {mebibytes(size)}"
