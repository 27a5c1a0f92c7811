"""The command line: it parses, calls a workflow, and prints."""

from __future__ import annotations

import sys

INTERRUPTED = "\ninterrupted: existing files are as they were."

__all__ = ["INTERRUPTED", "main"]


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit: `kizu.cli._app.main`, which takes a tenth of a second to load, a time to be
    interrupted in as any other.
    """
    try:
        from kizu.cli import _app
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        sys.exit(130)
    _app.main(arguments)
