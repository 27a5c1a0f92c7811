"""The benchmarks can be run, and the README's tables are those of the committed results."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
SCRIPTS = sorted(path.name for path in BENCHMARKS.glob("*.py") if not path.name.startswith("_"))


def run(name, *arguments, code=0):
    """Run a script; its exit code must be ``code``. Returns what it printed, stdout and stderr."""
    command = [sys.executable, str(BENCHMARKS / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def write_startup(folder, hardware="a machine", seconds="0.25"):
    path = folder / f"startup-{hardware.replace(' ', '-')}.csv"
    columns = "measure,ratio_to_imports,seconds,runs,hardware,versions"
    path.write_text(f"{columns}\nkizu --help,0.5,{seconds},3,{hardware},kizu 1\n", encoding="utf-8")


def readme(folder, text):
    path = folder / "README.md"
    path.write_text(text, encoding="utf-8")
    return path


def tables(folder, *arguments, code=0):
    return run("tables.py", folder / "README.md", "--results", folder, *arguments, code=code)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_has_help(name):
    assert "--results DIR" in run(name, "--help")


def test_every_script_is_described():
    described = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    assert [name for name in SCRIPTS if f"benchmarks/{name}" not in described] == []


def test_the_readme_holds_the_committed_results():
    run("tables.py", "--check")


def test_a_table_is_filled_and_then_agrees(tmp_path):
    write_startup(tmp_path)
    path = readme(tmp_path, "before\n<!-- table:startup -->\nold\n<!-- /table -->\nafter\n")
    assert "differ" in tables(tmp_path, "--check", code=1)
    tables(tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "| `kizu --help` | 0.50 | 0.250 |" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("<!-- /table -->\nafter\n")
    tables(tmp_path, "--check")


def test_new_figures_make_the_check_fail(tmp_path):
    write_startup(tmp_path)
    readme(tmp_path, "<!-- table:startup -->\n<!-- /table -->\n")
    tables(tmp_path)
    write_startup(tmp_path, seconds="0.75")
    tables(tmp_path, "--check", code=1)


def test_several_machines_share_a_table(tmp_path):
    write_startup(tmp_path, "one machine")
    write_startup(tmp_path, "two machines")
    path = readme(tmp_path, "<!-- table:startup -->\n<!-- /table -->\n")
    tables(tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "| one machine |" in text
    assert "| two machines |" in text


def test_a_readme_without_tables_passes(tmp_path):
    readme(tmp_path, "nothing\n")
    tables(tmp_path, "--check")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<!-- table:quality -->\n<!-- /table -->\n", "no results"),
        ("<!-- table:qualities -->\n<!-- /table -->\n", "no table"),
        ("<!-- table:startup -->\n", "not closed"),
    ],
)
def test_a_table_that_cannot_be_made_is_told(tmp_path, text, problem):
    write_startup(tmp_path)
    readme(tmp_path, text)
    assert problem in tables(tmp_path, "--check", code=1)


def test_coreset_compares_the_forms_on_real_features(tmp_path):
    sizes = ("--images", 1, "--layers", "blocks.2", "--count", 60, "--results", tmp_path)
    run("coreset.py", *sizes)
    run("coreset.py", *sizes)  # measured again: the rows are replaced
    (path,) = tmp_path.glob("coreset-*.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row["form"]: row for row in csv.DictReader(file)}
    assert path.read_text(encoding="utf-8").count("\n") == 5
    assert list(rows) == ["blocks", "blocks, all pairs", "sequential", "sequential, exact"]
    assert rows["blocks, all pairs"]["same_picks"] == "yes"
    assert rows["sequential, exact"]["same_picks"] == "yes"
    assert rows["blocks"]["ratio"] == "1"
    assert rows["blocks"]["picks"] == "60"
    assert all(row["hardware"] and "numpy" in row["versions"] for row in rows.values())


def test_synthetic_compares_both_orders_of_configurations(tmp_path):
    few = ("--fit", 4, "--good", 5, "--bad", 4, "--configurations", 3, "--cells", "mono", "--strengths", 1)
    run("synthetic.py", *few, "--sizes", 1, "--results", tmp_path)
    (path,) = tmp_path.glob("synthetic_ranks-*.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row["kind"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["synthetic", "scratch", "blob", "cut_paste", "texture", "seamless"]
    assert all(-1 <= float(row["spearman"]) <= 1 and row["configurations"] == "3" for row in rows.values())


def test_depth_reads_in_every_way(tmp_path):
    run("depth.py", "--cells", "mono", "--thinned", 40, "--only", "dark camera, --window auto", "--results", tmp_path)
    (path,) = tmp_path.glob("depth-*.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    lows = [float(row["low"]) for row in rows]
    assert lows == sorted(lows, reverse=True)
    assert lows[0] > lows[-1]


def test_jpeg_compares_whole_and_reduced_files(tmp_path):
    run("jpeg.py", "--fit", 6, "--least", 2, "--results", tmp_path)
    (path,) = tmp_path.glob("jpeg-*.csv")
    with path.open(encoding="utf-8", newline="") as file:
        whole, reduced = csv.DictReader(file)
    assert whole["reduced_to"] == "4000 x 3000"
    assert reduced["reduced_to"] == "1000 x 750"
    assert float(whole["score_largest"]) == 0 < float(reduced["score_largest"]) < 0.05
