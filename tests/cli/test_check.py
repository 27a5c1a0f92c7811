"""``kizu check`` as a user meets it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli.running import Command
from workflows import tiles


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    root = tiles.good_bad(tmp_path / "部品")
    for number in range(5):
        tiles.write(root / "good" / f"写し{number}.bmp", tiles.tile(number))
    (root / "good" / "壊れた.png").write_bytes(b"")
    return root


def test_findings_are_told_worst_first_and_are_no_failure(kizu: Command, spoilt: Path, tmp_path: Path) -> None:
    out = tmp_path / "結果"
    said = kizu("check", spoilt, "-o", out)
    assert said.code == 0
    assert said.out.startswith("部品: 42 images (good/bad folders) in ")
    assert "\n\nPROBLEM unreadable\n  good/壊れた.png: the file is empty (0 bytes).\n  -> Copy it again" in said.out
    told = [line.split()[0] for line in said.out.splitlines() if line.split(" ")[0].isupper()]
    assert told == sorted(told, key=["PROBLEM", "WARNING", "NOTE"].index)
    assert "The least ordinary of " in said.out
    assert "  1. " in said.out
    assert said.out.endswith(f"Wrote {out / 'findings.csv'} and the suspects beside it.\n")
    assert said.err.startswith("Looking at images (42)\nComparing pairs of images (")


def test_many_findings_of_a_kind_are_cut_short(kizu: Command, tmp_path: Path) -> None:
    tiles.plain(tmp_path)
    for number in range(9):
        (tmp_path / f"壊れた{number}.png").write_bytes(b"")
    said = kizu("check", tmp_path, "--no-outliers")
    assert said.out.count("the file is empty") == 3
    assert "  ... and 6 more, all of them with --out DIR or --json\n" in said.out
    assert "not looked for (not asked for)" in said.out
    said = kizu("check", tmp_path, "--no-outliers", "-o", tmp_path / "out")
    assert "  ... and 6 more, see findings.csv\n" in said.out
    assert not (tmp_path / "out" / "suspects").exists()


def test_files_that_differ_in_what_to_do_about_them(kizu: Command, tmp_path: Path) -> None:
    tiles.plain(tmp_path)
    for number in range(5):
        (tmp_path / f"空{number}.png").write_bytes(b"")
    (tmp_path / "文.png").write_bytes(b"not an image")
    for number in range(2):
        tiles.write(tmp_path / f"大{number}.png", np.zeros((200, 200 + number, 3), np.uint8))
    said = kizu("check", tmp_path, "--no-outliers", "--max-pixels", 96 * 96)
    told = said.out[said.out.index("PROBLEM unreadable\n") :].split("\n\n")[0].splitlines()[1:]
    assert [line.partition(": ")[0] for line in told] == [
        *("  大0.png", "  -> Scale it down, or raise the limit with --max-pixels 40000."),
        *("  大1.png", "  -> Scale it down, or raise the limit with --max-pixels 40200."),
        *("  文.png", "  -> Save it as one of these, or take it out."),
        "  ... and 5 more with other advice, all of them with --out DIR or --json",
    ]


def test_json_is_one_document(kizu: Command, spoilt: Path) -> None:
    said = kizu("check", spoilt, "--json", "--no-outliers")
    assert said.code == 0
    document = said.document
    assert document["unreadable"] == 1
    assert {"duplicate", "leak"} & {finding["kind"] for finding in document["findings"]}
    assert document["not_scored"] == "not asked for"
    assert document["suspects"] == []


def test_mistakes_are_one_line(kizu: Command, tmp_path: Path, parts: Path) -> None:
    assert "no such file or folder" in kizu("check", tmp_path / "nothing").error
    assert "the folder is empty" in kizu("check", tmp_path).error
    (tmp_path / "file").touch()
    assert "is a file, not a folder" in kizu("check", parts, "-o", tmp_path / "file").error
    assert "DATA" in kizu("check").error


def test_max_pixels_is_heeded(kizu: Command, parts: Path) -> None:
    assert kizu("check", parts, "--max-pixels", 100, "--json").document["unreadable"] == 36
