"""The command line: it parses, calls a workflow, and prints."""

from kizu.cli._app import main

__all__ = ["main"]
