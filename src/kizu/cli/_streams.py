"""The streams of a process: closed, full, or read by a program that goes away."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path


def prepare() -> None:
    """Let no reader that goes away end a command's work, nor messages that a full disk cannot take: see `_Lasting`.

    Results that a full disk cannot take do end it. File names in any script print.

    A stream that is closed or was never there, as under a Windows service, swallows what is said.
    """
    for name, ends in (("stdout", BrokenPipeError), ("stderr", OSError)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif stream is getattr(sys, f"__{name}__") and not stream.isatty():
            setattr(sys, name, _Lasting(stream, ends))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def is_read() -> bool:
    """Whether anyone still reads what goes to stdout, as far as is known."""
    return not (isinstance(sys.stdout, _Lasting) and sys.stdout.gone)


def abandon_stdout() -> None:
    """Give up what is buffered when it has nowhere to go: it must not be tried again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        _forget(sys.stdout.fileno())


class _Lasting(io.TextIOWrapper):
    """``stream``, which may come to its end: what is written from then on is lost, and nothing else is.

    ``ends``: the error that means it: the reader went away, or, for messages, a full disk as well.
    """

    def __init__(self, stream: io.TextIOWrapper, ends: type[OSError]) -> None:
        stream.flush()
        super().__init__(
            stream.buffer,
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        self._ends = ends
        self.gone = False

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except self._ends:
            self._end()
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except self._ends:
            self._end()

    def _end(self) -> None:
        self.gone = True
        _forget(self.fileno())


def _forget(descriptor: int) -> None:
    """Let what goes to ``descriptor`` go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
