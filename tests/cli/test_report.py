from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cli.running import Command, files
from workflows import tiles


def test_report(kizu: Command, model: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = kizu("report", model, parts, "--no-check")
    assert said.code == 0
    first, kept, wrote = said.out.splitlines()
    assert first.startswith("12 images in ")
    assert first.endswith(" s: 6 OK, 0 REVIEW, 6 NG")
    assert kept.startswith("24 more good images are kept for fitting and not judged (")
    assert wrote.startswith(f"Wrote {Path('report', 'report.html')} (")
    assert wrote.endswith(f" MiB) and {Path('report', 'report.coco.json')}.")
    assert set(files(tmp_path / "report")) == {"report.html", "report.coco.json"}
    assert "Inspecting images" in said.err
    assert "Writing the report" in said.err


def test_report_as_json_in_japanese(kizu: Command, model: Path, tmp_path: Path) -> None:
    tiles.good(tmp_path / "新しい", 2)
    said = kizu("report", model, tmp_path / "新しい", "-o", tmp_path / "報告.html", "--lang", "ja", "--json")
    document = said.document
    assert document["report"] == str(tmp_path / "報告.html")
    assert document["coco"] == str(tmp_path / "報告.coco.json")
    assert (document["images"], document["labelled"], document["pdf"]) == (2, False, None)
    assert document["model"] == str(model)
    assert '<html lang="ja">' in (tmp_path / "報告.html").read_text(encoding="utf-8")


def test_without_labels_it_says_so(kizu: Command, model: Path, tmp_path: Path) -> None:
    tiles.good(tmp_path / "new", 1)
    said = kizu("report", model, tmp_path / "new", "-o", tmp_path / "r")
    assert said.out.startswith("1 image in ")
    assert "It has no labels, so the report does not say what is right and wrong." in said.out
    tiles.good(tmp_path / "new", 2)
    said = kizu("report", model, tmp_path / "new", "-o", tmp_path / "r")
    assert said.out.startswith("2 images in ")
    assert "They have no labels, so the report does not say what is right and wrong." in said.out


@pytest.mark.filterwarnings("default::kizu.KizuWarning")
def test_files_that_were_skipped_are_counted(kizu: Command, model: Path, tmp_path: Path) -> None:
    tiles.good(tmp_path / "new", 2)
    (tmp_path / "new" / "壊れた.png").write_bytes(b"")
    said = kizu("report", model, tmp_path / "new", "-o", tmp_path / "r", "--skip-unreadable")
    assert said.code == 0
    assert said.out.startswith("2 images in ")
    assert "Skipped 1 unreadable file.\n" in said.err


def test_evaluate_with_a_report(kizu: Command, model: Path, parts: Path, tmp_path: Path) -> None:
    said = kizu("evaluate", model, parts, "--report", tmp_path / "r.html", "--lang", "ja")
    assert said.code == 0
    assert said.out.splitlines()[-1].startswith(f"Wrote {tmp_path / 'r.html'} (")
    assert model.name in (tmp_path / "r.html").read_text(encoding="utf-8")
    said = kizu("evaluate", model, parts, "--report", tmp_path / "s", "--json")
    assert said.document["image"]["auroc"] == 1.0
    assert set(files(tmp_path / "s")) == {"report.html", "report.coco.json"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lang", "fr"], "unknown language 'fr'. Known: en, ja."),
        (
            ["--pdf", "--chromium", "nowhere"],
            "nowhere: no program that can be run, as --chromium says. Check the path.",
        ),
        (["--min-area", "0"], "min-area"),
    ],
)
def test_mistakes(kizu: Command, model: Path, parts: Path, tmp_path: Path, arguments: list[str], words: str) -> None:
    assert words in kizu("report", model, parts, "-o", tmp_path / "r", *arguments).error
    assert not (tmp_path / "r" / "report.html").exists()


@pytest.mark.parametrize("command", ["report", "evaluate"])
def test_without_plotly(
    kizu: Command, model: Path, parts: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    option = "-o" if command == "report" else "--report"
    error = kizu(command, model, parts, option, tmp_path / "r").error
    assert error == 'plotly is not installed. Run: pip install "kizu[report]"'
