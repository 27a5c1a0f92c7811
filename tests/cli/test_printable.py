"""Names of files may hold anything; a terminal gets letters and spaces alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.running import Command, Said
from kizu.cli._printable import one_line, printable
from workflows import tiles

pytestmark = pytest.mark.filterwarnings("default::kizu.KizuWarning")  # commands show them, they are no errors

ODD = "部品\u3000\u00a0é\tb\n\x1b[2J\x9b\u202e\udcff.png"  # with an ideographic and a no-break space
SHOWN = "部品\u3000\u00a0é\\tb\\n\\x1b[2J\\x9b\\u202e\\udcff.png"
SAID = SHOWN.replace("\\n", " ")  # in a message, lines follow one another


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Good and bad images of odd names, and one file that is none."""
    root = tiles.good_bad(tmp_path / "部品", sound=10, scratched=2)
    (root / "mask" / "傷100.png").rename(root / "mask" / ODD)
    (root / "bad" / "傷100.png").rename(root / "bad" / ODD)
    (root / "good" / "良品000.png").rename(root / "good" / ODD)
    (root / "good" / "良品001.png").write_bytes(b"")
    (root / "good" / "良品001.png").rename(root / "good" / f"壊{ODD}")
    return root


Run = Callable[[Command, Path, Path, Path], Said]

COMMANDS: dict[str, Run] = {
    "predict": lambda kizu, model, root, out: kizu("predict", model, root / "bad", "--out", out / "\n"),
    "check": lambda kizu, model, root, out: kizu("check", root, "--no-outliers", "--out", out / "\n"),
    "evaluate": lambda kizu, model, root, out: kizu(
        "evaluate", model, root, "--skip-unreadable", "--out", out / "\n"
    ),
    "report": lambda kizu, model, root, out: kizu("report", model, root, "--skip-unreadable", "--out", out / "\n"),
    "compare": lambda kizu, model, root, out: kizu(
        "compare", model, model, root, "--skip-unreadable", "--out", out / "\n"
    ),
    "error": lambda kizu, model, root, out: kizu("predict", model, root),
}

SHOWN_BY = {
    "predict": [SHOWN, "/\\n/predictions.csv"],
    "check": [SHOWN, "/\\n/findings.csv"],
    "evaluate": ["/\\n/predictions.csv"],
    "report": ["/\\n/report.html"],
    "compare": ["/\\n/comparison.csv"],
    "error": [SAID],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_terminal_gets_can_be_printed(
    kizu: Command, model: Path, odd: Path, tmp_path: Path, name: str
) -> None:
    said = COMMANDS[name](kizu, model, odd, tmp_path / "out")
    for line in (said.out + said.err).split("\n"):
        assert all(part.replace("\u3000", "").replace("\u00a0", "").isprintable() for part in line.split("\t")), line
    assert [words for words in SHOWN_BY[name] if words not in said.out + said.err] == []


def test_a_line_an_image_whatever_it_is_called(kizu: Command, model: Path, odd: Path) -> None:
    said = kizu("predict", model, odd / "bad")
    assert [line.split("\t")[0] for line in said.out.splitlines()] == [
        str(odd / "bad" / "傷101.png"),
        str(odd / "bad" / SHOWN),
    ]
    assert len({len(line.split("\t")) for line in said.out.splitlines()}) == 1


def test_skipped_files_are_named(kizu: Command, model: Path, odd: Path) -> None:
    said = kizu("predict", model, odd, "--skip-unreadable")
    assert f"warning: skipped {odd / 'good'}/壊{SAID}: the file is empty" in said.err


def test_json_holds_names_as_they_are(kizu: Command, model: Path, odd: Path) -> None:
    (odd / "bad" / ODD).rename(odd / "bad" / "傷\n\x1b.png")
    names = {Path(one["path"]).name for one in kizu("predict", model, odd / "bad", "--json").document["predictions"]}
    assert names == {"傷101.png", "傷\n\x1b.png"}


def test_messages_are_one_line() -> None:
    assert one_line("a\n   b\r\n\n c\x1b") == "a b c\\x1b"
    assert printable(Path(SHOWN)) == SHOWN
