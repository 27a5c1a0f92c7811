"""Progress bars with the time left, on stderr, so that stdout holds results alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kizu.progress import Advance


class Bars:
    """A `kizu.progress.Progress` that draws one bar a stage; on a pipe or in a log file, a line a stage."""

    @contextmanager
    def stage(self, description: str, total: int) -> Iterator[Advance]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as TimeLeftColumn

        console = Console(stderr=True)
        if not console.is_terminal:
            console.print(f"{description} ({total})", highlight=False)
        columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn())
        times = (TextColumn("left"), TimeLeftColumn(), TextColumn("spent"), TimeElapsedColumn())
        with Progress(*columns, *times, console=console, disable=not console.is_terminal) as bars:
            task = bars.add_task(description, total=total)

            def advance(steps: int = 1, /) -> None:
                bars.advance(task, steps)

            yield advance
