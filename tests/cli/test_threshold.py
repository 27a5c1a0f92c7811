"""``kizu threshold``, as it is typed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import kizu as library
from cli.running import Command, files
from kizu.calibration import Calibration, Decision


@pytest.fixture
def mine(model: Path, tmp_path: Path) -> Path:
    """A model with 99 calibration scores."""
    scores = np.sort(np.random.default_rng(0).gamma(9.0, size=99))
    path = tmp_path / "部品.kizu"
    library.load(model).calibrated(Calibration(scores, scores, Decision(), "leave_one_out")).save(path)
    return path


def test_how_a_model_decides(kizu: Command, mine: Path) -> None:
    before = mine.read_bytes()
    said = kizu("threshold", mine)
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert re.fullmatch(rf"{mine}: NG above \S+, REVIEW above \S+", lines[0])
    assert "  NG: at most 1 % of good parts, in expectation; promised" in lines
    assert "  REVIEW: 5 % more of good parts, for a person to look at" in lines
    assert re.search(r"^  0\.5 % +- +\S+, \S+ to \S+$", said.out, re.MULTILINE)
    assert re.search(r"^  1 % +\d\S* +\S+, \S+ to \S+$", said.out, re.MULTILINE)
    assert lines[-1] == f"To change it: kizu threshold {mine} --false-alarms 0.005"
    assert mine.read_bytes() == before


def test_review_of_few_good_images_is_told_as_it_is(kizu: Command, model: Path, tmp_path: Path) -> None:
    """6 % of 41 are two, one of them NG already: no 5 % are left."""
    scores = np.sort(np.random.default_rng(0).gamma(9.0, size=40))
    path = tmp_path / "a.kizu"
    library.load(model).calibrated(Calibration(scores, scores, Decision())).save(path)
    assert "  REVIEW: 2.4 % more of good parts, for a person to look at" in kizu("threshold", path).out.splitlines()


def test_a_share_that_cannot_be_promised(kizu: Command, mine: Path) -> None:
    said = kizu("threshold", mine, "--false-alarms", 0.001)
    assert (
        "asked for: 0.1 %, which 99 good images cannot promise. For that it takes 999; `kizu update` adds some."
        in said.out
    )
    assert re.search(r"estimate for 0\.1 %: \S+ \(\S+ to \S+, 90 % sure, if the tail goes on .* --tail\.", said.out)
    assert "NG: at most 1 % of good parts, in expectation; promised" in said.out
    assert said.out.endswith(f"Wrote {mine}. Nothing was fitted; to change it again: kizu threshold {mine} ...\n")
    said = kizu("threshold", mine, "--tail")
    assert "NG: an estimate for 0.1 % of good parts, not a promise; the score is " in said.out
    assert "before: NG above" in said.out
    said = kizu("threshold", mine, "--false-alarms", 0)
    assert "asked for: 0 %, which 99 good images cannot promise. No number does." in said.out


def test_settings_tell_that_they_were_changed(kizu: Command, mine: Path) -> None:
    config = library.load(mine).config
    kizu("threshold", mine, "--false-alarms", config.false_alarms, "--review-budget", config.review_budget)
    as_fitted = kizu("info", mine, "--config").out
    assert as_fitted == config.to_yaml()
    kizu("threshold", mine, "--false-alarms", 0.07, "--review-budget", 0.3)
    assert kizu("info", mine, "--config").out == (
        f"# kizu threshold changed these since: false_alarms 0.07, review_budget 0.3\n{as_fitted}"
    )
    kizu("threshold", mine, "--review-budget", config.review_budget, "--value", 31.25)
    assert kizu("info", mine, "--config").out.startswith(
        "# kizu threshold changed these since: false_alarms 0.07, the NG threshold 31.25, by value\n"
    )


def test_labelled_images(kizu: Command, mine: Path, parts: Path) -> None:
    said = kizu("threshold", mine, "--data", parts, "--cost-miss", 50, "--cost-false-alarm", 1, "--defect-rate", 0.01)
    assert said.code == 0
    assert said.out.startswith("24 more good images are kept for fitting and not judged (")
    assert f"NG: chosen by costs on labelled images ({parts.name}): 50 a miss, 1 a false alarm, 1 %" in said.out
    assert re.search(r"good parts called NG +\S+ % \(\S+ % to \S+ %\)", said.out)
    assert re.search(r"defects not called NG +\S+ % \(\S+ % to \S+ %\)", said.out)
    assert re.search(r"cost a part +\S+ \(\S+ to \S+\)", said.out)
    assert "would flatter it" in said.out
    assert "NG: chosen to find 90 % of the defects" in kizu("threshold", mine, "--data", parts, "--recall", 0.9).out
    assert "NG: chosen by the best F1" in kizu("threshold", mine, "--data", parts, "--best-f1").out
    again = kizu("threshold", mine).out
    assert f"NG: chosen by the best F1 on labelled images ({parts.name})" in again


def test_by_hand_and_to_another_file(kizu: Command, mine: Path, tmp_path: Path) -> None:
    before = mine.read_bytes()
    out = tmp_path / "別.kizu"
    said = kizu("threshold", mine, "--value", 9.5, "--review-budget", 0, "-o", out)
    assert said.out.startswith(f"{out}: NG above 9.5, no REVIEW\n")
    assert "NG: chosen by hand" in said.out
    assert re.search(r"\d+ of the 99 good images are above: \S+ % to \S+ % of good parts, 90 % sure", said.out)
    assert mine.read_bytes() == before
    told = kizu("info", out, "--json").document["calibration"]
    assert (told["threshold"], told["promised"]) == (9.5, None)
    assert kizu("info", mine, "--json").document["calibration"]["promised"] == 0.01


def test_what_a_budget_leaves_where_something_else_decides(kizu: Command, mine: Path) -> None:
    """It goes on beyond the false alarms asked for, not beyond those there are."""
    scores = np.sort(library.load(mine).calibration.scores)  # type: ignore[union-attr]
    said = kizu("threshold", mine, "--value", scores[-11], "--review-budget", 0.3)
    assert "  10 of the 99 good images are above: " in said.out
    assert "  REVIEW: 20 of the 99 good images are between, for a person to look at" in said.out  # (0.01 + 0.3) · 100
    said = kizu("threshold", mine, "--value", scores[-2], "--review-budget", 0)
    assert "  1 of the 99 good images is above: " in said.out
    said = kizu("threshold", mine, "--value", scores[-41], "--review-budget", 0.3)
    assert "no REVIEW" in said.out
    both = "31 % of false alarms and review together"
    assert f"  REVIEW: none; as many good images are NG already as the {both}" in said.out


def test_images_too_few_for_review_are_told(kizu: Command, model: Path, tmp_path: Path) -> None:
    """Up to 32 images the highest score is the threshold of 1 % and of 6 %; of 33 the second highest is of 6 %."""
    for count, said in ((1, "1 good image is"), (32, "32 good images are"), (33, "")):
        scores, path = np.sort(np.random.default_rng(0).gamma(9.0, size=count)), tmp_path / f"{count}.kizu"
        library.load(model).calibrated(Calibration(scores, scores, Decision(), "leave_one_out")).save(path)
        expected = f"REVIEW: none; {said} too few to tell it from NG. Give 33 or more\n"
        assert (expected in kizu("threshold", path).out) == bool(said)


def test_no_more_than_all_good_parts(kizu: Command, mine: Path) -> None:
    said = kizu("threshold", mine, "--false-alarms", 0.999)
    assert "NG already as the 100 % of false alarms and review together" in said.out


def test_as_a_document(kizu: Command, mine: Path) -> None:
    found = kizu("threshold", mine, "--tail", "--false-alarms", 0.001, "--json").document
    assert (found["written"], found["decision"]["by"], found["before"]["by"]) == (True, "tail", "false_alarms")
    assert found["tail"]["estimate"] is True
    assert found["decision"]["threshold"] == found["tail"]["threshold"]
    assert [row["share"] for row in found["shares"]] == sorted(
        (row["share"] for row in found["shares"]), reverse=True
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--false-alarms", 1], "`false_alarms` must be in [0, 1); got 1.0. For one percent write 0.01."),
        (["--false-alarms", "nan"], "`false_alarms` must be in [0, 1); got nan."),
        (["--review-budget", 5], "`review_budget` must be in [0, 1); got 5.0."),
        (["--value", "inf"], "`value` must be a finite number"),
        (["--value", "much"], "Invalid value for '--value'"),
        (["--tail", "--value", 1], "choose one of"),
        (["--best-f1"], "a threshold from labelled images needs labelled images to choose by; give --data DATA."),
        (["--data", "x"], "needs what to choose by"),
        (["--data", "x", "--best-f1", "--recall", 1], "choose one of --best-f1, --recall and --cost-miss"),
        (["--data", "x", "--cost-miss", 1], "costs come in pairs"),
        (["--data", "x", "--recall", 0], "`recall` must be in (0, 1]"),
        (["--data", "x", "--recall", 1, "--defect-rate", 0.1], "--defect-rate is for costs"),
        (["--data", "x", "--best-f1"], "x"),
        (["-o", "x.kizu"], "another file needs another decision"),
    ],
)
def test_mistakes(kizu: Command, mine: Path, options: list[object], words: str) -> None:
    before = files(mine.parent)
    assert words in kizu("threshold", mine, *options).error
    assert files(mine.parent) == before


@pytest.mark.parametrize("count", [1, 3])
def test_next_to_no_calibration(kizu: Command, model: Path, tmp_path: Path, count: int) -> None:
    path = tmp_path / "a.kizu"
    shutil.copy(model, path)
    scores = np.arange(1.0, 1 + count)
    library.load(path).calibrated(Calibration(scores, scores, Decision())).save(path)
    said = kizu("threshold", path)
    assert said.code == 0
    assert f"by {count} good image{'s' if count > 1 else ''}, " in said.out
    assert f"no estimate: a tail estimate needs 10 scores of good images; got {count}." in said.out
    assert f"needs 10 scores of good images; got {count}" in kizu("threshold", path, "--tail").error
