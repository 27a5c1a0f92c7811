from __future__ import annotations

import csv
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from cli.running import files
from kizu.datasets import load_dataset
from kizu.errors import DataError, KizuWarning, OutputError
from kizu.images import read_image
from kizu.report._canvas import NO_VERDICT, VERDICT_COLOURS
from kizu.workflows import DataCheck, check
from workflows import tiles


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def kinds(result: DataCheck) -> set[str]:
    return {finding.kind for finding in result.findings}


def named(result: DataCheck, kind: str) -> set[str]:
    return {path.name for finding in result.findings if finding.kind == kind for path in finding.paths}


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with one of everything wrong."""
    return tiles.spoilt(tmp_path_factory.mktemp("data") / "部品")


@pytest.fixture(scope="module")
def checked(spoilt: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[DataCheck, Path]:
    out = tmp_path_factory.mktemp("out") / "結果"
    before = {path: path.read_bytes() for path in spoilt.rglob("*") if path.is_file()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = check(spoilt, out=out)
    assert {path: path.read_bytes() for path in spoilt.rglob("*") if path.is_file()} == before
    return result, out


@pytest.mark.parametrize(
    ("kind", "severity", "names"),
    [
        ("unreadable", "problem", {"壊れた.png"}),
        ("duplicate", "warning", {"良品000.png", "写し.bmp"}),
        ("leak", "problem", {"良品001.png", "漏れ.png"}),
        ("near_leak", "problem", {"良品002.png", "漏れ.jpg"}),
        ("exposure", "warning", {"暗い.png"}),
        ("size", "warning", {"大きい.png"}),
        ("mask_empty", "warning", {"傷100.png", "傷100_mask.png"}),
        ("mask_size", "problem", {"傷101.png", "傷101_mask.png"}),
        ("mask_missing", "warning", {"傷102.png"}),
        ("mask_left_over", "warning", {"誰のもの.png"}),
        ("left_out", "note", set()),
    ],
)
def test_everything_wrong_is_found_and_nothing_else(
    checked: tuple[DataCheck, Path], kind: str, severity: str, names: set[str]
) -> None:
    result, _ = checked
    assert named(result, kind) == names
    assert {finding.severity for finding in result.findings if finding.kind == kind} == {severity}


def test_a_defect_among_the_good_images_comes_first(checked: tuple[DataCheck, Path]) -> None:
    result, out = checked
    first = result.suspects[0]
    assert (first.path.name, first.rank, first.beyond) == ("隠れた傷.png", 1, True)
    assert "隠れた傷.png" in named(result, "suspect")
    assert result.scored == 12 + 24 + 3  # the copy takes no part: beside its copy nothing looks strange
    assert len(result.suspects) == 20
    assert first.picture == out / "suspects" / "01_隠れた傷.png"
    assert sorted(path.name for path in (out / "suspects").iterdir())[0] == "01_隠れた傷.png"
    assert len(list((out / "suspects").iterdir())) == 20
    assert read_image(first.picture).shape[1] > 3 * 96


def test_only_what_stands_out_gets_a_verdict(checked: tuple[DataCheck, Path]) -> None:
    result, _ = checked
    for suspect in result.suspects:
        assert suspect.picture is not None
        corner = tuple(read_image(suspect.picture)[0, 0])
        assert corner == (VERDICT_COLOURS["review"] if suspect.beyond else NO_VERDICT), suspect
    assert 0 < sum(suspect.beyond for suspect in result.suspects) < len(result.suspects)


def test_the_tables_say_the_same(checked: tuple[DataCheck, Path]) -> None:
    result, out = checked
    findings = rows(out / "findings.csv")
    assert sorted({int(row["finding"]) for row in findings}) == list(range(1, len(result.findings) + 1))
    for number, finding in enumerate(result.findings, start=1):
        mine = [row for row in findings if row["finding"] == str(number)]
        assert [row["path"] for row in mine] == [str(path) for path in finding.paths] or not finding.paths
        assert {(row["kind"], row["severity"], row["message"]) for row in mine} == {
            (finding.kind, finding.severity, finding.message)
        }
    suspects = rows(out / "suspects.csv")
    assert [row["path"] for row in suspects] == [str(suspect.path) for suspect in result.suspects]
    assert [float(row["score"]) for row in suspects] == [suspect.score for suspect in result.suspects]
    assert suspects[0]["beyond"] == "yes"
    assert (out / suspects[0]["picture"]).is_file()


def test_the_worst_come_first_and_json_holds_it_all(checked: tuple[DataCheck, Path]) -> None:
    result, _ = checked
    order = [("problem", "warning", "note").index(finding.severity) for finding in result.findings]
    assert order == sorted(order)
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert document["images"] == result.images == 12 + 24 + 4 + 4 + 4 + 3
    assert document["unreadable"] == 1
    assert document["counts"]["test"] == {"good": 7, "引っかき傷": 4}
    assert document["problems"] == result.number("problem") == order.count(0)
    assert len(document["findings"]) == len(result.findings)
    assert document["suspects"][0]["path"].endswith("隠れた傷.png")
    assert all(finding.message.endswith(".") and finding.advice.endswith(".") for finding in result.findings)


def test_pictures_of_an_earlier_check_go_and_other_files_stay(parts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = check(parts, out=out)
    mine = tiles.write(out / "suspects" / "99_mine.png", tiles.tile(0))
    kept = mine.read_bytes()
    again = check(load_dataset(parts, seed=1), out=out)
    listed = {row["picture"] for row in rows(out / "suspects.csv")}
    assert {f"suspects/{path.name}" for path in (out / "suspects").iterdir()} == {*listed, "suspects/99_mine.png"}
    assert mine.read_bytes() == kept
    assert [one.path for one in first.suspects] != [one.path for one in again.suspects]


def test_suspects_of_an_earlier_check_are_told(parts: Path, tmp_path: Path) -> None:
    check(parts, out=tmp_path)
    before = (tmp_path / "suspects.csv").read_bytes()
    with pytest.warns(KizuWarning) as told:
        check(parts, out=tmp_path, suspects=False)
    assert [str(warning.message) for warning in told] == [
        f"{tmp_path}: suspects.csv is of an earlier run, not of this one. Remove it, or give another folder."
    ]
    assert (tmp_path / "suspects.csv").read_bytes() == before


@pytest.mark.parametrize("table", ["rank,path,picture\n1,a\n", "rank,path\n1,a\n", "\x00", ""])
def test_a_damaged_table_of_an_earlier_check_is_replaced(parts: Path, tmp_path: Path, table: str) -> None:
    (tmp_path / "suspects.csv").write_text(table)
    found = check(parts, out=tmp_path)
    assert len(rows(tmp_path / "suspects.csv")) == len(found.suspects)


FULL = """
import resource, sys
import kizu
from kizu.workflows import check

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    check(sys.argv[1], out=sys.argv[2])
except kizu.KizuError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_earlier_check(parts: Path, tmp_path: Path) -> None:
    out = tmp_path / "検査"
    check(parts, out=out)
    before = files(out)
    tiles.good(tmp_path / "他", 12, first=50)
    command = [sys.executable, "-X", "utf8", "-c", FULL, str(tmp_path / "他"), str(out)]
    said = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert "cannot be written: no space left on the drive" in said.stdout
    assert files(out) == before


def test_a_sound_data_set_has_nothing_but_a_note_on_its_size(parts: Path) -> None:
    result = check(parts)
    assert kinds(result) == {"too_few"}
    assert not any(suspect.beyond for suspect in result.suspects)
    assert all(suspect.picture is None for suspect in result.suspects)


@pytest.mark.parametrize("make", [tiles.plain, tiles.mvtec, tiles.good_bad])
def test_every_layout_can_be_checked(tmp_path: Path, make: Any) -> None:
    result = check(make(tmp_path / "部品"), suspects=False)
    assert result.images == len(load_dataset(tmp_path / "部品").samples)
    assert result.not_scored == "not asked for"
    assert kinds(result) <= {"too_few"}


def test_a_list_can_be_checked(tmp_path: Path) -> None:
    result = check(tiles.listed(tmp_path, ".csv"))
    assert result.suspects == ()
    assert result.not_scored == "8 different good images for training; it takes 10"
    assert result.counts == {"train": {"good": 8}, "calibration": {"good": 6}, "test": {"good": 3, "bad": 3}}


def test_images_that_are_all_the_same_are_a_finding(tmp_path: Path) -> None:
    for number in range(20):
        tiles.write(tmp_path / f"{number}.png", tiles.tile(0))
    result = check(tmp_path)
    assert len(named(result, "duplicate")) == 20
    assert result.not_scored.startswith("1 different good image")


def test_where_nothing_can_be_read_all_is_told(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"not an image")
    result = check(tmp_path)
    assert result.unreadable == 3
    assert kinds(result) == {"unreadable", "too_few"}
    assert result.scored == 0


def test_too_large_an_image_is_unreadable(tmp_path: Path) -> None:
    tiles.plain(tmp_path)
    assert check(tmp_path, max_pixels=1000, suspects=False).unreadable == 12


def test_a_data_set_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        check(tmp_path / "nothing")
    with pytest.raises(DataError, match="the folder is empty"):
        check(tmp_path)


def test_an_output_folder_that_cannot_be_is_told_before_any_work(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file, not a folder"):
        check(parts, out=tmp_path / "file")


def test_it_tells_how_far_it_is(parts: Path) -> None:
    class Stages:
        def __init__(self) -> None:
            self.seen: dict[str, list[int]] = {}

        def stage(self, description: str, total: int, *, unit: str = "") -> Any:
            from contextlib import contextmanager

            @contextmanager
            def opened() -> Any:
                self.seen[description] = [total, 0]

                def advance(steps: int = 1, /) -> None:
                    self.seen[description][1] += steps

                yield advance

            return opened()

    stages = Stages()
    check(parts, suspects=False, progress=stages)
    assert list(stages.seen) == ["Looking at images", "Comparing pairs of images"]
    assert all(total == done > 0 for total, done in stages.seen.values())
    check(parts, progress=stages)
    assert "Leaving each image out" in stages.seen
