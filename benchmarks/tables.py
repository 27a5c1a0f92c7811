"""Write the tables of the README from the CSVs in results/.

A table stands between ``<!-- table:NAME -->`` and ``<!-- /table -->``. Where several machines measured it, all are
in it, and a column says which. With --check nothing is written: exit code 1 says that the README holds other figures.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import _results

README = Path(__file__).parent.parent / "README.md"
MARKED = re.compile(r"(<!-- table:(?P<name>\S+) -->\n).*?(<!-- /table -->)", re.DOTALL)
OPENED = "<!-- table:"

Cells = Mapping[str, str]
Maker = Callable[[Cells], dict[str, str] | None]


def fixed(text: str, digits: int) -> str:
    """Rounded to ``digits`` behind the point; a dash where there is no figure."""
    return f"{float(text):.{digits}f}" if text else "–"


def percent(text: str) -> str:
    return f"{100 * float(text):.1f} %" if text else "–"


def signed(text: str) -> str:
    return f"{float(text):+.4f}" if text else "–"


def whole(text: str) -> str:
    return f"{round(float(text)):,}" if text else "–"


def quality(row: Cells) -> dict[str, str] | None:
    if row["seed"] != "mean":
        return None
    return {
        "data": row["data"],
        "detector": DETECTORS[row["detector"]],
        "image AUROC": fixed(row["image_auroc"], 3),
        "image F1": fixed(row["image_f1_max"], 3),
        "pixel AUROC": fixed(row["pixel_auroc"], 3),
        "PRO": fixed(row["pixel_aupro"], 3),
        "false alarms": percent(row["false_alarms"]),
        "missed": percent(row["missed"]),
        "fit": f"{whole(row['fit_seconds'])} s",
        "an image": f"{fixed(row['ms_an_image'], 1)} ms",
        "model": f"{whole(row['model_mib'])} MiB",
    }


def coreset(row: Cells) -> dict[str, str] | None:
    size = f"{whole(row['picks'])} of {whole(row['rows'])} × {row['dimensions']}"
    return {
        "selection": f"{FORMS[row['form']]}, {size}",
        "time, blocks = 1": fixed(row["ratio"], 1),
        "seconds": fixed(row["seconds"], 1),
        "ms a pick": fixed(row["ms_a_pick"], 2),
        "picks shared with blocks": f"{100 * float(row['same_set']) / float(row['picks']):.2f} %",
        "in the same order": "all" if row["same_picks"] == "yes" else f"the first {whole(row['same_prefix'])}",
    }


def latency(row: Cells) -> dict[str, str] | None:
    rows = f", {whole(row['bank_rows'])} × {row['dimensions']}" if row["bank_rows"] else f", {row['dimensions']} d"
    return {
        "": CASES[row["case"]] + rows,
        "of the backbone's time": fixed(row["ratio_to_engine"], 1),
        "of a bare session's": fixed(row["ratio_to_bare"], 1),
        "ms": fixed(row["ms"], 1),
        "95 % within": fixed(row["ms_p95"], 1),
        "backbone": fixed(row["embed_ms"], 1),
        "search": fixed(row["search_ms"] or row["score_ms"], 1),
        "made exact": fixed(row["confirm_ms"], 1),
        "map": fixed(row["map_ms"], 1),
    }


def startup(row: Cells) -> dict[str, str] | None:
    name, colon, stage = row["measure"].partition(": ")
    return {
        "": f"– {stage}" if colon else f"`{name}`" if "python" in name or name == "kizu --help" else name,
        "of the bare imports": fixed(row["ratio_to_imports"], 2),
        "seconds": fixed(row["seconds"], 3),
    }


def memory(row: Cells) -> dict[str, str] | None:
    return {
        "detector": DETECTORS[row["detector"]],
        "images": row["images"],
        "coreset": percent(row["coreset_ratio"]),
        "search": row["search"] or "–",
        "peak / embeddings": fixed(row["ratio"], 2),
        "peak": f"{whole(row['fit_mib'])} MiB",
        "embeddings": f"{whole(row['embeddings_mib'])} MiB",
    }


def engines(row: Cells) -> dict[str, str] | None:
    return {
        "backbone": f"`{row['backbone']}`",
        "engine": ENGINES[row["engine"]],
        "precision": row["precision"],
        "backbone's time": fixed(row["backbone_ratio"], 2),
        "ms": fixed(row["backbone_ms"], 1),
        "whole inspection's time": fixed(row["inspection_ratio"], 2),
        "image AUROC": fixed(row["image_auroc"], 4),
        "change": signed(row["image_change"]),
        "pixel AUROC": fixed(row["pixel_auroc"], 4),
        "its change": signed(row["pixel_change"]),
        "scores change by": percent(row["score_change"]),
        "at most": percent(row["score_change_max"]),
        "graph": f"{fixed(row['graph_mib'], 1)} MiB",
    }


def backbones(row: Cells) -> dict[str, str] | None:
    found = {name.removeprefix("auroc, "): figure for name, figure in row.items() if name.startswith("auroc, ")}
    return {
        "backbone": f"`{row['backbone']}`",
        "layers": f"`{row['layers'].replace(' ', ',')}`",
        "dimensions": row["dimensions"],
        "input": f"{row['image_size']}²",
        "time": fixed(row["ratio"], 1),
        "ms": fixed(row["ms"], 1),
        "graph": f"{whole(row['graph_mib'])} MiB",
        **{f"AUROC, {name.replace('_', ' ')}": fixed(figure, 3) for name, figure in found.items()},
    }


TABLES: dict[str, Maker] = {
    maker.__name__: maker for maker in (quality, coreset, latency, startup, memory, engines, backbones)
}
ENGINES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
DETECTORS = {"patchcore": "PatchCore", "padim": "PaDiM"}
FORMS = {
    "blocks": "certified blocks",
    "sequential": "sequential, float32",
    "sequential, exact": "sequential, ties settled in float64",
}
CASES = {
    "bank": "PatchCore, large bank",
    "bank exact": "the same, exact search",
    "default": "PatchCore, defaults",
    "padim": "PaDiM, defaults",
}


def table(name: str, folder: Path) -> str:
    """The table in Markdown. Raises `SystemExit` when nothing was measured for it."""
    if name not in TABLES:
        raise SystemExit(f"there is no table {name!r}; there are {', '.join(TABLES)}")
    paths = sorted(folder.glob(f"{name}-*.csv"))
    if not paths:
        raise SystemExit(f"no results for the table {name!r} in {folder}; run benchmarks/{name}.py")
    measured = [_results.read(path) for path in paths]
    made = [row | _where(rows, len(paths)) for rows in measured for row in map(TABLES[name], rows) if row]
    captions = dict.fromkeys(f"{row['hardware']}; {row['versions']}" for rows in measured for row in rows)
    return "\n".join([*_markdown(made), "", *(f"*Measured on {caption}.*" for caption in captions), ""])


def _where(rows: Sequence[Cells], machines: int) -> dict[str, str]:
    return {"measured on": rows[0]["hardware"]} if machines > 1 else {}


def _markdown(rows: Sequence[Cells]) -> list[str]:
    names = list(rows[0])
    sides = ["--:" if rows[0][name][:1] in "–+-0123456789" else ":--" for name in names]
    return [f"| {' | '.join(cells)} |" for cells in (names, sides, *([row[name] for name in names] for row in rows))]


def filled(readme: str, folder: Path) -> str:
    """``readme`` with every marked table made anew."""
    done, count = MARKED.subn(lambda found: found[1] + table(found["name"], folder) + found[3], readme)
    if count != readme.count(OPENED):
        raise SystemExit(f"a table is opened with `{OPENED}NAME -->` and not closed with `<!-- /table -->`")
    return done


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    if not options.readme.exists():
        print(f"{options.readme}: there is none, so no tables")
        return
    before = options.readme.read_text(encoding="utf-8")
    after = filled(before, options.results)
    if options.check and after != before:
        sys.exit(f"{options.readme}: tables differ from {options.results}; run python benchmarks/tables.py")
    if not options.check:
        options.readme.write_text(after, encoding="utf-8", newline="\n")


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    parser.add_argument("--readme", type=Path, default=README, metavar="FILE", help="the file to fill (README.md)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when the tables differ")
    return parser


if __name__ == "__main__":
    main()
