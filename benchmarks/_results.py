"""Where figures are kept: one CSV a table and machine, ``results/TABLE-CPU-CORES-VERSIONS.csv``.

Rows measured again replace their older selves; the rest stays. Nothing here loads a heavy library.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import metadata
from pathlib import Path

Value = str | int | float | None
Row = Mapping[str, Value]

FOLDER = Path(__file__).parent / "results"

PACKAGES = {
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "faiss": "faiss-cpu",
    "opencv": "opencv-python-headless",
}


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with what every benchmark has: a description, and where the figures go."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--results", type=Path, default=FOLDER, metavar="DIR", help="folder of the CSVs")
    return made


def run(main: Callable[[], object]) -> None:
    """Run a script; data that cannot be used are told in one line."""
    from kizu.errors import KizuError

    try:
        main()
    except KizuError as error:
        raise SystemExit(str(error)) from None


def listed(kind: Callable[[str], Value], among: Collection[str] = ()) -> Callable[[str], list[Value]]:
    """An argparse type: values of ``kind`` with commas between them, of those ``among`` which to choose."""

    def parse(text: str) -> list[Value]:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        for part in parts:
            if among and part not in among:
                raise argparse.ArgumentTypeError(f"there is no {part!r}; there are {', '.join(among)}")
        return [kind(part) for part in parts]

    parse.__name__ = "list"
    return parse


def cpu_name() -> str:
    """The processor's own name for itself, made plain."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    models = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    return plain_cpu_name(models[0] if models else platform.processor() or platform.machine())


def plain_cpu_name(name: str) -> str:
    """Without trade marks and clock rates.

    >>> plain_cpu_name("Intel(R) Xeon(R) CPU @ 2.20GHz")
    'Intel Xeon'
    """
    return " ".join(re.sub(r"\((R|TM)\)|\b(CPU|Processor)\b|@.*", " ", name, flags=re.IGNORECASE).split())


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hardware() -> str:
    return f"{cpu_name()}, {cores()} cores"


def versions() -> dict[str, str]:
    """Versions of what the figures depend on, by short name."""
    from kizu import __version__

    found = {"kizu": __version__, "python": platform.python_version()}
    for name, package in PACKAGES.items():
        try:
            found[name] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def slug() -> str:
    """Hardware and versions as a part of a file name: ``intel-xeon-2cores-onnxruntime1.31-faiss1.15``."""
    machine = re.sub(r"[^a-z0-9]+", "-", cpu_name().lower()).strip("-")
    found = versions()
    short = [f"{name}{'.'.join(found[name].split('.')[:2])}" for name in ("onnxruntime", "faiss") if name in found]
    return "-".join([machine, f"{cores()}cores", *short])


def path_of(table: str, folder: Path = FOLDER) -> Path:
    return folder / f"{table}-{slug()}.csv"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def forget(table: str, data: Collection[str], folder: Path = FOLDER) -> None:
    """Take out the rows of data sets that are measured anew as a whole, where there is such a table."""
    path = path_of(table, folder)
    if path.exists() and (rows := read(path)):
        _write(path, list(rows[0]), [row for row in rows if row["data"] not in data])


def save(table: str, rows: Sequence[Row], *, key: Sequence[str], folder: Path = FOLDER) -> Path:
    """Write ``rows``, one at least: each replaces the row of the same ``key``, or is added at the end. Prints them
    as well. What a row replaced has in columns that the new ones lack (figures of other data sets) stays.
    """
    path = path_of(table, folder)
    where = {"commit": commit(), **origin()}
    new = [{name: text(value) for name, value in {**row, **where}.items()} for row in rows]
    merged: dict[tuple[str, ...], dict[str, str]] = {}
    for row in [*(read(path) if path.exists() else []), *new]:
        place = tuple(row.get(name, "") for name in key)
        merged[place] = {**merged.get(place, {}), **row}
    columns = list(dict.fromkeys(name for row in [*new, *merged.values()] for name in row if name not in where))
    _write(path, [*columns, *where], list(merged.values()))
    show([{name: value for name, value in row.items() if name not in where} for row in new])
    print(f"wrote {path}")
    return path


def commit() -> str:
    """The commit of the checkout measured, with a ``+`` where files differ from it; empty where there is no git."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        asked = ([*git, "rev-parse", "--short=10", "HEAD"], [*git, "status", "--porcelain", "--", "../src"])
        name, changed = (subprocess.run(of, check=True, capture_output=True, text=True).stdout for of in asked)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return name.strip() + ("+" if changed.strip() else "")


def origin() -> dict[str, str]:
    """The columns of every row that say where it comes from."""
    return {"hardware": hardware(), "versions": ", ".join(f"{name} {of}" for name, of in versions().items())}


def _write(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    """Whole or not at all: a run that is stopped keeps the rows it had."""
    from kizu.files import atomic_write

    path.parent.mkdir(parents=True, exist_ok=True)
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write(path, file.getvalue().encode())


def text(value: Value) -> str:
    """As a CSV holds it: floats to six digits, nothing for None."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def mean(rows: Sequence[Row]) -> Row:
    """The row of the same columns with every figure averaged, and ``mean`` for a seed."""
    made: dict[str, Value] = {}
    for name in rows[0]:
        values = [value for row in rows if isinstance(value := row[name], int | float)]
        made[name] = statistics.fmean(values) if values else rows[0][name]
    return {**made, "seed": "mean"}


def show(rows: Sequence[Mapping[str, str]]) -> None:
    """Print rows in columns."""
    names = list(rows[0])
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in names]
    for cells in (names, *([row[name] for name in names] for row in rows)):
        print("  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)))


def note(message: str) -> None:
    """Tell on stderr what is going on; some of these take minutes."""
    print(f"# {message}", file=sys.stderr, flush=True)
