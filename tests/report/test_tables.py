from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kizu.errors import OutputError
from kizu.report import COLUMNS, PredictionRow, PredictionTable
from kizu.workflows._predictions_file import read_predictions

ROWS = [
    PredictionRow("部品/1.png", 0.1 + 0.2, 28.4, "ok", 0.5, 17.5, "good", "good"),
    PredictionRow('with, comma "and" quotes\n.png', 31.2, 28.4, "ng", 0.01, 18.25),
]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, *rows: PredictionRow) -> list[dict[str, str]]:
    with PredictionTable(path) as table:
        for row in rows:
            table.append(row)
    return read(path)


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    rows = write(tmp_path / "predictions.csv", *ROWS)
    assert tuple(rows[0]) == COLUMNS
    assert [row["path"] for row in rows] == [row.path for row in ROWS]
    assert float(rows[0]["score"]) == 0.1 + 0.2
    assert (rows[0]["label"], rows[1]["label"], rows[1]["type"]) == ("good", "", "")
    assert (rows[1]["verdict"], rows[1]["milliseconds"]) == ("ng", "18.250")
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


@pytest.mark.parametrize("name", ["a\rb.png", "a\nb.png", "a\r\nb.png"])
def test_names_with_line_breaks_read_back(tmp_path: Path, name: str) -> None:
    rows = [PredictionRow(it, 1.0, 2.0, "ok", 0.5, 1.0) for it in (name, "c.png")]
    assert [row["path"] for row in write(tmp_path / "p.csv", *rows)] == [name, "c.png"]
    assert [row.path for row in read_predictions([tmp_path / "p.csv"])] == [name, "c.png"]


def test_excel_is_told_that_it_is_utf8(tmp_path: Path) -> None:
    write(tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_bytes() == b"\xef\xbb\xbf" + ",".join(COLUMNS).encode() + b"\n"


@pytest.mark.parametrize(
    "name", ["=1+1.png", "+a.png", "-a.png", "@SUM(A1).png", "\ta.png", "=cmd|'/c calc'!A1", "＝1.png"]
)
def test_no_path_is_a_formula_and_each_still_names_its_file(tmp_path: Path, name: str) -> None:
    (row,) = write(tmp_path / "p.csv", PredictionRow(name, 1.0, 2.0, "ok", 0.5, 1.0))
    assert row["path"] == f"./{name}"
    assert Path(row["path"]) == Path(name)


def test_no_label_is_a_formula_but_numbers_stay(tmp_path: Path) -> None:
    (row,) = write(tmp_path / "p.csv", PredictionRow("/a", 1.0, 2.0, "ok", 0.5, 1.0, label="-1", type="=1+1"))
    assert (row["label"], row["type"]) == ("-1", "'=1+1")


def test_negative_scores_are_numbers(tmp_path: Path) -> None:
    (row,) = write(tmp_path / "p.csv", PredictionRow("a", -1.5, -2.0, "ng", 0.5, 1.0))
    assert (row["score"], row["threshold"]) == ("-1.5", "-2.0")


def test_a_name_that_is_no_unicode_does_not_stop_the_run(tmp_path: Path) -> None:
    (row,) = write(tmp_path / "p.csv", PredictionRow(os.fsdecode(b"a\xff.png"), 1.0, 2.0, "ok", 0.5, 1.0))
    assert row["path"] == "a\\udcff.png"


def test_rows_are_on_file_as_they_come(tmp_path: Path) -> None:
    with PredictionTable(tmp_path / "p.csv") as table:
        for count, row in enumerate(ROWS, start=1):
            table.append(row)
            assert len(read(tmp_path / "p.csv.part")) == count
        assert not (tmp_path / "p.csv").exists()


def test_a_finished_table_is_synced_before_it_takes_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: there.append((tmp_path / "p.csv").exists()))
    write(tmp_path / "p.csv", *ROWS)
    assert there == [False, True]


def test_an_interrupt_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("an older run")

    def interrupted() -> None:
        with PredictionTable(tmp_path / "p.csv") as table:
            table.append(ROWS[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "p.csv").read_text() == "an older run"
    assert [row["path"] for row in read(tmp_path / "p.csv.part")] == [ROWS[0].path]
    assert len(write(tmp_path / "p.csv", *ROWS)) == 2
    assert not (tmp_path / "p.csv.part").exists()


KILLED = """
import os, sys
from kizu.report import PredictionRow, PredictionTable

with PredictionTable(sys.argv[1]) as table:
    for number in range(1000):
        table.append(PredictionRow(f"{number}.png", 1.0, 2.0, "ok", 0.5, 3.0))
    os._exit(9)
"""


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "p.csv")], check=False)
    assert killed.returncode == 9
    assert [row["path"] for row in read(tmp_path / "p.csv.part")] == [f"{number}.png" for number in range(1000)]


FULL = """
import resource, sys
from kizu.errors import OutputError
from kizu.report import PredictionRow, PredictionTable

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    with PredictionTable(sys.argv[1]) as table:
        for number in range(1000):
            table.append(PredictionRow(f"{number}.png", 1.0, 2.0, "ok", 0.5, 3.0))
except OutputError as error:
    print(error)
"""


def test_a_full_disk_is_one_line_and_keeps_what_fitted(tmp_path: Path) -> None:
    target = tmp_path / "p.csv"
    said = subprocess.run([sys.executable, "-c", FULL, str(target)], capture_output=True, text=True, check=True)
    assert said.stdout == f"{target}: cannot be written: no space left on the drive; free some and run again.\n"
    assert said.stderr == ""
    assert len(read(tmp_path / "p.csv.part")) > 100
    assert not target.exists()


def test_a_folder_that_is_not_there_or_goes_away(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"p\.csv: cannot be written: the folder is not there"):
        write(tmp_path / "gone" / "p.csv")
    with pytest.raises(OutputError, match="is a folder; give the name of a file in it"):
        write(tmp_path)
    folder = tmp_path / "stick"
    folder.mkdir()
    with pytest.raises(OutputError, match="the folder is not there; check the name, or whether the drive is"):
        write_while_it_goes(folder)


def write_while_it_goes(folder: Path) -> None:
    with PredictionTable(folder / "p.csv"):
        (folder / "p.csv.part").unlink()
        folder.rmdir()
