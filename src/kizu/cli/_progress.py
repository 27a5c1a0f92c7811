"""Progress bars with the time left, on stderr, so that stdout holds results alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kizu.progress import Advance, ignore

if TYPE_CHECKING:
    from rich.console import Console


class Bars:
    """A `kizu.progress.Progress` that draws one bar a stage; on a pipe or in a log file, a line a stage."""

    @contextmanager
    def stage(self, description: str, total: int) -> Iterator[Advance]:
        from rich.console import Console

        console = Console(stderr=True)
        if console.is_terminal:
            with _bar(console, description, total) as advance:
                yield advance
        else:
            console.print(f"{description} ({total})", highlight=False)
            yield ignore


@contextmanager
def _bar(console: Console, description: str, total: int) -> Iterator[Advance]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn())
    times = (TextColumn("left"), TimeRemainingColumn(), TextColumn("spent"), TimeElapsedColumn())
    with Progress(*columns, *times, console=console) as bars:
        task = bars.add_task(description, total=total)

        def advance(steps: int = 1, /) -> None:
            bars.advance(task, steps)

        yield advance
