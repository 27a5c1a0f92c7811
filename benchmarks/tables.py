"""Write the tables of the README and the documents from the CSVs in results/.

A table stands between ``<!-- table:NAME -->`` and ``<!-- /table -->``. Where several machines measured it, all are
in it, and a column says which. With --check nothing is written: exit code 1 says that a document holds other figures.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import _results
from _ablation_forms import SOURCES as OF_ABLATIONS
from _ablation_forms import TABLES as ABLATIONS
from _quality_forms import SOURCES as OF_QUALITY
from _quality_forms import TABLES as QUALITY
from _speed_forms import SOURCES as OF_SPEED
from _speed_forms import TABLES as SPEED
from _table_forms import TABLES as GENERAL
from _table_forms import Cells

TABLES = GENERAL | QUALITY | SPEED | ABLATIONS
SOURCES = OF_QUALITY | OF_SPEED | OF_ABLATIONS
ROOT = Path(__file__).parent.parent
MARKED = re.compile(r"(<!-- table:(?P<name>\S+) -->\n).*?(<!-- /table -->)", re.DOTALL)
OPENED = "<!-- table:"


def table(name: str, folder: Path) -> str:
    """The table in Markdown. Raises `SystemExit` when nothing was measured for it."""
    if name not in TABLES:
        raise SystemExit(f"there is no table {name!r}; there are {', '.join(TABLES)}")
    source = SOURCES.get(name, name)
    paths = sorted(folder.glob(f"{source}-*.csv"))
    found = [(row, cells) for path in paths for row in _results.read(path) if (cells := TABLES[name](row))]
    if not found:
        raise SystemExit(f"no results for the table {name!r} in {folder}; run benchmarks/{source}.py")
    rows = [row for row, _ in found]
    made = _grouped([cells | _where(row, rows) for row, cells in found])
    captions = dict.fromkeys(f"{row['hardware']}; {row['versions']}" for row, _ in found)
    return "\n".join([*_markdown(made), "", *(f"*Measured on {caption}.*" for caption in captions), ""])


def _grouped(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Rows of the same data one below the other, in the order in which data first come."""
    order = list(dict.fromkeys(row.get("data", "") for row in rows))
    return sorted(rows, key=lambda row: order.index(row.get("data", "")))


def _where(row: Cells, rows: Sequence[Cells]) -> dict[str, str]:
    """The machine, where they differ, and of the versions those that do."""
    found = {"measured on": row["hardware"]} if len({one["hardware"] for one in rows}) > 1 else {}
    versions = {one["versions"] for one in rows}
    if len(versions) > 1:
        common = set.intersection(*(set(one.split(", ")) for one in versions))
        found["with"] = ", ".join(part for part in row["versions"].split(", ") if part not in common)
    return found


def _markdown(rows: Sequence[Cells]) -> list[str]:
    """With the columns of all rows; a dash where a row has no such figure."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    first = {name: next(row[name] for row in rows if name in row) for name in names}
    sides = ["--:" if first[name][:1] in "–+-0123456789" else ":--" for name in names]
    filled = ([row.get(name, "–") for name in names] for row in rows)
    return [f"| {' | '.join(cells)} |" for cells in (names, sides, *filled)]


def filled(readme: str, folder: Path) -> str:
    """``readme`` with every marked table made anew."""
    done, count = MARKED.subn(lambda found: found[1] + table(found["name"], folder) + found[3], readme)
    if count != readme.count(OPENED):
        raise SystemExit(f"a table is opened with `{OPENED}NAME -->` and not closed with `<!-- /table -->`")
    return done


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    for path in options.files or [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        _fill(path, options.results, check=options.check)


def _fill(path: Path, results: Path, *, check: bool) -> None:
    if not path.exists():
        print(f"{path}: there is none, so no tables")
        return
    before = path.read_text(encoding="utf-8")
    after = filled(before, results)
    if check and after != before:
        sys.exit(f"{path}: tables differ from {results}; run python benchmarks/tables.py")
    if after != before:
        path.write_text(after, encoding="utf-8", newline="\n")


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="files to fill (README.md, docs/*.md)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when the tables differ")
    return parser


if __name__ == "__main__":
    _results.run(main)
