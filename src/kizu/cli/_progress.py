"""Progress bars with the time left, on stderr, so that stdout holds results alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from kizu.memory import mebibytes
from kizu.progress import Advance, ignore

if TYPE_CHECKING:
    from rich.console import Console


class Bars:
    """A `kizu.progress.Progress` that draws one bar a stage; on a pipe, in a log file or on a terminal that cannot
    draw over a line (``TERM=dumb``), a line a stage.
    """

    @contextmanager
    def stage(self, description: str, total: int, *, unit: str = "") -> Iterator[Advance]:
        from rich.console import Console

        console = Console(stderr=True)
        if console.is_interactive:
            with _bar(console, description, total, unit) as advance:
                yield advance
        else:
            amount = mebibytes(total) if unit == "bytes" and total else total or "size unknown"
            console.print(f"{description} ({amount})", markup=False, highlight=False, soft_wrap=True)
            yield ignore


@contextmanager
def _bar(console: Console, description: str, total: int, unit: str) -> Iterator[Advance]:
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    left = (TextColumn("left"), TimeRemainingColumn())
    name = partial(TextColumn, markup=False)  # a file's name may hold brackets
    columns: tuple[ProgressColumn, ...] = (name("{task.description:<24}"), BarColumn(), MofNCompleteColumn())
    columns += (*left, TextColumn("spent"), TimeElapsedColumn())
    if unit == "bytes":  # beside a file's name there is less room
        columns = (name("{task.description}"), BarColumn(14), DownloadColumn(binary_units=True), *left)
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(description, total=total or None)

        def advance(steps: int = 1, /) -> None:
            bars.advance(task, steps)

        yield advance
