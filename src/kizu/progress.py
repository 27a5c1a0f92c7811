"""How long work tells how far it is: workflows report stages, a face decides how to show them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Advance(Protocol):
    """Called as work gets done; ``steps`` may be any number of units."""

    def __call__(self, steps: int = 1, /) -> None: ...


class Progress(Protocol):
    """What a workflow reports to. A face may draw bars with the time left; a library call stays silent."""

    def stage(self, description: str, total: int, *, unit: str = "") -> AbstractContextManager[Advance]:
        """Open a stage of ``total`` units (0: unknown); the value of the ``with`` block advances it.

        ``unit`` is ``bytes`` for a download; otherwise the description says what is counted.
        """
        ...


def ignore(steps: int = 1, /) -> None:
    """An `Advance` that does nothing."""


class Silent:
    """A `Progress` that shows nothing: the default of every Python call."""

    @contextmanager
    def stage(self, description: str, total: int, *, unit: str = "") -> Iterator[Advance]:
        yield ignore
