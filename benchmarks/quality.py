"""How well each preset, and each detector on each backbone, does: a row a seed, and the mean of the seeds.

DATA is a folder or list in any layout kizu knows, or a folder of such folders; --solar adds the mono- and
poly-crystalline cells of the package ``elpv-dataset``, whose division into fitted and judged ones each seed draws
anew.

Each fit runs in a process of its own, so that its peak memory (libraries, fit and prediction) is its own. An image
is timed from the decoded array to score and map, one at a time. What is one and the same fit under two names, as a
preset and as a detector with default settings, is measured once and written under both.

Rows are saved as they come: a run that was stopped goes on with --skip-done. Means are over the seeds measured with
the same versions so far. Rows measured with --limit stand apart, and in no table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import _combinations
import _data
import _results
from _combinations import Combination
from kizu.errors import KizuError

PLACE = ("data", "preset", "detector", "backbone", "image_size", "limit")
KEY = (*PLACE, "seed")
RUN = Path(__file__).with_name("_quality_run.py")


class RunError(Exception):
    """A process did not come to its end."""


@dataclass(frozen=True)
class Case:
    """One fit: ``group`` holds the names it goes by."""

    data: str
    place: _data.Place
    group: tuple[Combination, ...]
    limit: int | None
    seed: int

    def __str__(self) -> str:
        return f"{self.data}, {' = '.join(map(str, self.group))}, {self.group[0].image_size}², seed {self.seed}"

    @property
    def kind(self) -> tuple[str, str]:
        """What takes about the same time whatever the seed."""
        return self.data, self.group[0].resolved

    def columns(self, one: Combination) -> dict[str, _results.Value]:
        """The key of its row."""
        return {"data": self.data, **one.columns(), "limit": self.limit, "seed": self.seed}


def cases(options: argparse.Namespace) -> list[Case]:
    """All that is asked for: everything with the first seed, then with the next, so that early rows are of use.

    Raises `KizuError` for what does not exist.
    """
    groups = _combinations.chosen(options.presets, options.detectors, options.backbones, options.image_size)
    found: dict[str, _data.Place] = {}
    for place in _data.places(options.data, _data.CELLS if options.solar else ()):
        name, _ = place.load()
        _data.check_new(name, found)
        found[name] = place
    return [
        Case(name, place, tuple(group), options.limit, seed)
        for seed in options.seeds
        for name, place in found.items()
        for group in groups
    ]


def run(case: Case, timed: int) -> dict[str, Any]:
    """Figures of one fit. Raises `RunError` with the last line it wrote."""
    job = {"place": asdict(case.place), "settings": dict(case.group[0].settings), "seed": case.seed}
    command = [sys.executable, str(RUN), json.dumps({**job, "limit": case.limit, "timed": timed})]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message; was it killed for its memory?"])[-1]
        raise RunError(f"{case}: it ended with code {done.returncode}: {last}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def save(case: Case, figures: Mapping[str, _results.Value], folder: Path) -> None:
    """A row for each of its names, and the mean with what other seeds have left."""
    rows: list[_results.Row] = []
    for one in case.group:
        row = {**case.columns(one), "seeds": 1, **figures}
        same = [*others(row, folder), row]
        rows += [row, {**_results.mean(same), "seeds": len(same)}]
    _results.save("quality", rows, key=KEY, folder=folder)


def others(row: _results.Row, folder: Path) -> list[_results.Row]:
    """The rows of the other seeds, measured with the same versions."""
    here = {name: _results.text(row[name]) for name in PLACE} | _results.origin()
    return [
        {name: old[name] if name in KEY else _number(old[name]) for name in row}
        for old in measured(folder)
        if here.items() <= old.items() and old["seed"] != _results.text(row["seed"]) and set(row) <= set(old)
    ]


def _number(text: str) -> float | None:
    return float(text) if text else None


def measured(folder: Path) -> list[dict[str, str]]:
    """Rows of single seeds that are there already; older ones, whose images were not timed alone, do not count."""
    path = _results.path_of("quality", folder)
    found = _results.read(path) if path.exists() else []
    return [row for row in found if row["seed"] != "mean" and row.get("timed_images")]


def not_done(wanted: Sequence[Case], folder: Path, timed: int) -> list[Case]:
    """Those of which a row with these versions is missing, with ``timed`` images or all there are timed."""
    origin = _results.origin()
    done = {
        tuple(row.get(name) for name in KEY)
        for row in measured(folder)
        if origin.items() <= row.items()
        and int(row["timed_images"]) >= min(timed, int(row["test_good"]) + int(row["test_bad"]))
    }
    return [
        case
        for case in wanted
        if any(tuple(map(_results.text, case.columns(one).values())) not in done for one in case.group)
    ]


def left(spent: Mapping[tuple[str, str], float], rest: Sequence[Case]) -> str:
    """About how long the rest takes: what was measured with another seed as then, anything else as the mean."""
    if not spent:
        return ""
    mean = sum(spent.values()) / len(spent)
    seconds = sum(spent.get(case.kind, mean) for case in rest)
    return f", about {seconds / 60:.0f} min left" if seconds >= 60 else f", about {seconds:.0f} s left"


def measure(wanted: Sequence[Case], options: argparse.Namespace) -> list[str]:
    """Measure and save one after the other; what went wrong."""
    spent: dict[tuple[str, str], float] = {}
    failed = []
    for number, case in enumerate(wanted):
        _results.note(f"{number + 1} of {len(wanted)}: {case}{left(spent, wanted[number:])}")
        started = time.perf_counter()
        try:
            found = run(case, options.timed)
        except RunError as problem:
            failed.append(str(problem))
            _results.note(failed[-1])
            continue
        if "cannot" in found:
            _results.note(f"left out: {case}: {found['cannot']}")
            continue
        save(case, found, options.results)
        spent[case.kind] = time.perf_counter() - started
    return failed


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _options()
    options = parser.parse_args(arguments)
    if not options.data and not options.solar:
        parser.error("name data sets, or give --solar")
    if options.timed < 1:
        parser.error("--timed must be at least 1")
    try:
        wanted = cases(options)
    except KizuError as error:
        parser.error(str(error))
    if not wanted:
        raise SystemExit("nothing can be measured; name --presets, or --detectors and --backbones, that are here")
    rest = not_done(wanted, options.results, options.timed) if options.skip_done else wanted
    if len(rest) < len(wanted):
        _results.note(f"{len(wanted) - len(rest)} of {len(wanted)} are measured already")
    failed = measure(rest, options)
    if failed:
        raise SystemExit(f"without figures: {'; '.join(failed)}")


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    names, numbers = _results.listed(str), _results.listed(int)
    main_ones = list(_combinations.MAIN)
    parser.add_argument("data", nargs="*", type=Path, metavar="DATA", help="folders or lists of images")
    parser.add_argument("--solar", action="store_true", help="the solar cells, mono and poly, too")
    parser.add_argument("--presets", type=names, default=main_ones, help="(lite-fast,lite,accurate); or all")
    parser.add_argument("--detectors", type=names, default=["all"], help="with default settings (all); '' for none")
    parser.add_argument("--backbones", type=names, help="of these detectors (those of the presets); or all")
    parser.add_argument("--image-size", type=numbers, default=[], help="sizes in pixels (each one's own)")
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2], help="(0,1,2)")
    parser.add_argument("--timed", type=int, default=100, help="test images timed one by one, at most (100)")
    parser.add_argument("--limit", type=int, help="use so many images of each split and kind only, for a quick look")
    parser.add_argument("--skip-done", action="store_true", help="leave out what these versions have measured")
    return parser


if __name__ == "__main__":
    _results.run(main)
