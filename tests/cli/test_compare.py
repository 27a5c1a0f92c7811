"""``kizu compare`` at a shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.running import Command
from kizu.cli import _compare
from kizu.metrics import AurocComparison, VerdictComparison
from kizu.workflows import compare
from kizu.workflows._comparison import Pair
from workflows import tiles


def test_side_by_side(kizu: Command, model: Path, padim_model: Path, parts: Path, tmp_path: Path) -> None:
    out = tmp_path / "結果"
    said = kizu("compare", model, padim_model, parts, "--out", out)
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].endswith("s, each read once: 6 good, 6 bad")
    table = {line[:22].strip(): line[22:].split("  ") for line in lines[1:] if line[:22].strip()}
    assert [cell.strip() for cell in table["model"] if cell.strip()] == ["部品.kizu", "padim.kizu"]
    found = compare([model, padim_model], parts)
    assert [float(x) for x in table["image AUROC"] if x.strip()] == pytest.approx(
        [m.image.auroc for m in found.models], abs=1e-4
    )
    assert "B against A" in said.out
    assert f"Wrote {out / 'comparison.csv'} and {len(found.disputed)} picture" in said.out
    assert said.err == "Inspecting images (12)\n"


def test_json(kizu: Command, model: Path, padim_model: Path, parts: Path) -> None:
    document = kizu("compare", model, padim_model, model, parts, "--json").document
    assert [m["name"] for m in document["models"]] == ["A", "B", "C"]
    assert [(p["first"], p["second"]) for p in document["pairs"]] == [("A", "B"), ("A", "C")]
    assert set(document) == {"models", "pairs", "disputed", "images", "left_out", "skipped", "seconds"}
    assert set(document["pairs"][0]["verdicts"]) == {"only_first", "only_second", "p_value"}


def test_three_say_that_the_tests_allow_for_it(kizu: Command, model: Path, parts: Path) -> None:
    said = kizu("compare", model, model, model, parts)
    assert "The p-values allow for the 2 comparisons made (Holm)." in said.out
    assert "C against A\n  AUROC: no difference.\n  Verdicts: the two are right and wrong about the same" in said.out


def test_mistakes_are_one_line(kizu: Command, model: Path, parts: Path, tmp_path: Path) -> None:
    assert kizu("compare", model, parts).error.startswith("2 to 26 models are compared; got 1.")
    assert kizu("compare", model).error.startswith("Missing argument 'MODEL'.")
    tiles.good(tmp_path / "良品", 2)
    assert "no labelled test images" in kizu("compare", model, model, tmp_path / "良品").error
    assert "gone.kizu" in kizu("compare", model, tmp_path / "gone.kizu", parts).error
    (tmp_path / "file").write_bytes(b"")
    assert "is a file, not a folder" in kizu("compare", model, model, parts, "--out", tmp_path / "file").error


NOTHING = VerdictComparison(0, 0, 1.0)


@pytest.mark.parametrize(
    ("auroc", "p_value", "words"),
    [
        (AurocComparison(0.9, 0.95, 0.05, 0.01, 0.09, 0.01), 0.01, "B is higher by 0.0500 (+0.0100 to +0.0900 with"),
        (AurocComparison(0.9, 0.95, 0.05, 0.01, 0.09, 0.01), 0.01, "real as far as these images tell (p = 0.01)"),
        (AurocComparison(0.9, 0.95, 0.05, 0.01, 0.09, 1e-9), 1e-9, "(p < 0.0001)"),
        (AurocComparison(0.9, 0.85, -0.05, -0.11, 0.01, 0.04), 0.08, "B is lower by 0.0500"),
        (AurocComparison(0.9, 0.85, -0.05, -0.11, 0.01, 0.04), 0.08, "may well be chance (p = 0.08): no difference"),
        (AurocComparison(1.0, 0.5, -0.5, None, None, None), None, "too few, or too clear, to test that"),
        (AurocComparison(0.7, 0.7, 0.0, None, None, None), None, "no difference here; these images are too few"),
        (AurocComparison(1.0, 1.0, 0.0, 0.0, 0.0, 1.0), 1.0, "no difference."),
        (None, None, "nothing to rank"),
    ],
)
def test_what_the_tests_say_in_words(auroc: AurocComparison | None, p_value: float | None, words: str) -> None:
    pair = Pair("A", "B", auroc, NOTHING, None, None, p_value, 1.0)
    assert words in _compare._ranking(pair)


def test_verdicts_in_words() -> None:
    found = VerdictComparison(9, 1, 0.021)
    pair = Pair("A", "B", None, found, None, found, None, 0.021)
    assert list(_compare._tested(pair))[2:] == [
        "  Verdicts: A alone is right about 9, B alone about 1. The difference is real as far as these images tell "
        "(p = 0.021).",
        "    on bad images: A alone is right about 9, B alone about 1",
    ]
