"""``kizu presets list`` and ``show``."""

from __future__ import annotations

from typing import Annotated

import typer

from kizu.cli import _options

app = typer.Typer(help="Configurations by name, those of the papers among them.", no_args_is_help=False)


@app.command("list")
def list_presets(as_json: _options.Json = False) -> None:
    """List the presets.

    Prints a line each: its name, and what it is. `kizu fit DATA --preset NAME` fits with one.
    """
    from kizu import presets
    from kizu.cli import _show

    titles = {name: presets.title(name) for name in presets.names()}
    if as_json:
        _show.document({"presets": [{"name": name, "title": title} for name, title in titles.items()]})
    else:
        _show.lines(f"{name:<24}{title}" for name, title in titles.items())


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A preset's name, as `kizu presets list` has it.", metavar="NAME")],
    as_json: _options.Json = False,
) -> None:
    """Print a preset's file.

    Copy and edit it for a configuration of your own: `kizu presets show lite > my.yaml`, then
    `kizu fit DATA --config my.yaml`.
    """
    from kizu import presets
    from kizu.cli import _show

    text = presets.text(name)
    if as_json:
        found = {"name": name, "title": presets.title(name), "settings": presets.settings(name)}
        _show.document({**found, "text": text})
    else:
        print(text, end="")
