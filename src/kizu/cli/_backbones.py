"""``kizu backbones``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kizu.cli import _options
from kizu.memory import mebibytes

if TYPE_CHECKING:
    from kizu.workflows import BackboneState

app = typer.Typer(
    help="Pretrained networks: what is here, and how to get others.\n\n"
    "Use one with `kizu fit DATA --backbone NAME`. Without a network, bring weight files with `kizu backbones add`.",
    no_args_is_help=False,
)

Name = Annotated[str, typer.Argument(help="A name from `kizu backbones list`, or SOURCE:REFERENCE.", metavar="NAME")]


_HINTS = """
Downloaded weights are kept in {folder}. Next: kizu backbones info NAME, or pull NAME.
Others by reference: torchvision:NAME and timm:NAME (pip install "kizu[torch]" to fit with them), onnx:FILE."""


@app.command("list")
def list_all(as_json: _options.Json = False) -> None:
    """List the backbones, a line each.

    Prints name, whether the weights are on this machine, their size, licence and default layers.
    """
    from kizu.cli import _show
    from kizu.workflows import cache_folder, list_backbones

    states, folder = list_backbones(), cache_folder()
    if as_json:
        _show.document({"backbones": [state.to_dict() for state in states], "folder": str(folder)})
        return
    rows = [("backbone", "weights", "size", "licence", "default layers"), *map(_row, states)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    _show.lines("  ".join([*(f"{c:<{w}}" for c, w in zip(row, widths, strict=False)), row[4]]) for row in rows)
    _show.lines(_HINTS.format(folder=folder).splitlines())


def _row(state: BackboneState) -> tuple[str, str, str, str, str]:
    card = state.card
    return card.name, state.state, _size(state.size), card.licence, ",".join(card.default_layers)


def _size(size: int | None) -> str:
    return "-" if size is None else mebibytes(size)


@app.command("info")
def info(name: Name, as_json: _options.Json = False) -> None:
    """Show what a backbone is.

    Its layers with channels and strides, what it does to images, licence, and where its weights are.
    """
    from kizu.cli import _show
    from kizu.workflows import describe_backbone

    state = describe_backbone(name)
    if as_json:
        _show.document(state.to_dict())
        return
    card = state.card
    _show.line(f"{card.name}: {card.description}")
    print(f"{'':<2}{'layer':<24} channels  stride")
    for layer in card.layers:
        used = "  (default)" if layer.name in card.default_layers else ""
        _show.line(f"{'':<2}{layer.name:<24} {layer.channels:>8}  {layer.stride:>6}{used}")
    facts = {
        "image size": f"{card.default_image_size} by default",
        "preprocessing": card.preprocessing,
        "licence": card.licence,
        "weights": card.weights,
        "SHA-256": card.sha256 + ("" if len(card.sha256) in (0, 64) else "… (as much as is published)") or "-",
        "here": str(state.path) if state.path else f"{state.state}{f'; run: {state.obtain}' if state.obtain else ''}",
        "size": _size(state.size),
    }
    for fact, value in facts.items():
        _show.line(f"{fact:<14}{value}")


@app.command("pull")
def pull(name: Name, as_json: _options.Json = False) -> None:
    """Download a backbone's weights.

    They are checked against the published SHA-256. A download that breaks off goes on where it stopped.
    """
    from kizu.cli import _show
    from kizu.cli._progress import Bars
    from kizu.workflows import pull_backbone

    state, fetched = pull_backbone(name, progress=Bars())
    if as_json:
        _show.document({**state.to_dict(), "downloaded": fetched})
    else:
        _show.line(f"{name}: {'downloaded to' if fetched else 'already here:'} {state.path or 'nothing to download'}")


@app.command("add")
def add(
    files: Annotated[list[Path], typer.Argument(help="Weight files as published, under any name.", metavar="FILE")],
    as_json: _options.Json = False,
) -> None:
    """Keep weight files that were brought from elsewhere.

    Says for which backbone each is, by its SHA-256, and copies it to where `kizu fit` looks.
    """
    from kizu.cli import _show
    from kizu.cli._progress import Bars
    from kizu.workflows import add_backbone

    states = []
    for file in files:
        state = add_backbone(file, progress=Bars())
        states.append(state)
        if not as_json:
            _show.line(f"{file}: weights of {state.card.name}, now in {state.path}")
    if as_json:
        _show.document({"added": [state.to_dict() for state in states]})
