"""``kizu drift``, as it is typed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import kizu as library
from cli.running import Command, in_its_own_process
from kizu.calibration import Calibration, Decision
from kizu.report import PredictionRow, PredictionTable
from workflows import tiles

LIMIT = 22.0
KNOWN = np.append(np.random.default_rng(0).gamma(9.0, size=198), LIMIT)


@pytest.fixture
def mine(model: Path, tmp_path: Path) -> Path:
    """A model whose calibration scores are around 9."""
    path = tmp_path / "部品.kizu"
    library.load(model).calibrated(Calibration(KNOWN, KNOWN, Decision(false_alarms=0.005))).save(path)
    return path


def table(path: Path, shift: float, count: int = 120) -> Path:
    scores = np.random.default_rng(count).gamma(9.0, size=count)
    scores[count // 2 :] += shift
    with PredictionTable(path) as rows:
        for place, score in enumerate(scores):
            p_value = (1 + int((score <= KNOWN).sum())) / (1 + len(KNOWN))
            rows.append(PredictionRow(f"部品/{place}.png", float(score), LIMIT, "ok", p_value, 1.0))
    return path


def test_nothing_has_changed(kizu: Command, mine: Path, tmp_path: Path) -> None:
    said = kizu("drift", mine, table(tmp_path / "a.csv", 0.0))
    assert said.code == 0
    assert said.err == "Looking for drift (240)\n"
    assert re.match(
        r"120 rows, each compared with 198 calibration scores and earlier rows\.\nScores: no drift", said.out
    )
    assert "an alarm is raised from 200 to 1 on." in said.out
    highest = r"The highest evidence is \S+ to 1; an alarm is raised from 200 to 1 on\.$"
    assert re.search(rf"^NG: 0\.0 % of the rows; no change shown\. {highest}", said.out, re.MULTILINE)
    assert "MORE NG" not in said.out
    assert "with a probability of at most 0.01, however long." in said.out
    assert re.search(r"^  109 to 120 +0\.0 % +\S+ % +0\.\d\d$", said.out, re.MULTILINE)
    assert "Look at lamp" not in said.out


def test_something_has(kizu: Command, mine: Path, tmp_path: Path) -> None:
    path = table(tmp_path / "表.csv", 6.0)
    said = kizu("drift", mine, path, "--false-alarm-rate", 0.02)
    assert said.code == 0
    assert re.search(r"^Scores: DRIFT, scores are higher than before, since about row \d+$", said.out, re.MULTILINE)
    assert re.search(r"\(\S*表\.csv, line \d+: 部品/\d+\.png\)\.", said.out)
    assert re.search(r"Alarm at row \d+ \(\S*表\.csv, line \d+: 部品/\d+\.png\), evidence \S+ to 1\.", said.out)
    assert "Look at lamp, lens, focus, position, material." in said.out
    found = kizu("drift", mine, path, "--json", "--all", "--rows-alone").document
    assert (found["drifted"], found["calibration_scores"], found["watched"]) == (True, 0, 120)
    assert abs(found["scores"]["since"]["row"] - 60) < 10


def test_ng_from_the_first_row_on(kizu: Command, mine: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("path,score\n" + "".join(f"{n}.png,{30 if n % 8 else 9 + n / 100}\n" for n in range(96)))
    said = kizu("drift", mine, path)
    assert "NG: 87.5 % of the rows; no change shown." in said.out
    assert "\nMORE NG THAN PROMISED: 87.5 % of the rows, where it is at most 0.5 % of good parts. Look" in said.out
    found = kizu("drift", mine, path, "--json").document
    assert (found["drifted"], found["ng"]["promised"], found["ng"]["beyond_promise"]) == (False, 0.005, True)


def test_a_picture(kizu: Command, mine: Path, tmp_path: Path) -> None:
    said = kizu("drift", mine, table(tmp_path / "a.csv", 6.0), "--plot", tmp_path / "図.png")
    assert said.out.endswith(f"Wrote {tmp_path / '図.png'}.\n")
    assert (tmp_path / "図.png").stat().st_size > 10_000
    assert "is a folder" in kizu("drift", mine, tmp_path / "a.csv", "--plot", tmp_path).error
    before = (tmp_path / "a.csv").read_bytes()
    said = kizu("drift", mine, tmp_path / "a.csv", "--plot", tmp_path / "a.csv")
    assert "a.csv: a plot is a PNG file. Give it a name that ends in .png." in said.error
    assert (tmp_path / "a.csv").read_bytes() == before
    first = (tmp_path / "図.png").read_bytes()
    table(tmp_path / "a.csv", 5.0)
    assert kizu("drift", mine, tmp_path / "a.csv", "--plot", tmp_path / "図.png").code == 0
    assert (tmp_path / "図.png").read_bytes() != first
    photograph = tiles.write(tmp_path / "写真.png", tiles.tile(0))
    before = photograph.read_bytes()
    said = kizu("drift", mine, tmp_path / "a.csv", "--plot", photograph)
    assert "写真.png: is there already, and is no plot that kizu wrote: it would be lost. Give the" in said.error
    assert photograph.read_bytes() == before


def test_the_answer_is_told_where_there_is_no_room_for_the_picture(mine: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # Windows has none

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    arguments = ["drift", mine, table(tmp_path / "a.csv", 6.0), "--plot", tmp_path / "図.png"]
    said = in_its_own_process(arguments, preexec_fn=small_files)
    assert "図.png: cannot be written: no space left on the drive; free some and run again." in said.error
    assert "Scores: DRIFT, scores are higher than before" in said.out
    assert "Wrote" not in said.out
    assert json.loads(in_its_own_process([*arguments, "--json"], preexec_fn=small_files).out)["drifted"] is True
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "部品.kizu"]


def test_mistakes(kizu: Command, mine: Path, tmp_path: Path) -> None:
    good = table(tmp_path / "a.csv", 0.0)
    assert "`false_alarm_rate` must be in (0, 1); got 0.0" in kizu("drift", mine, good, "--false-alarm-rate", 0).error
    assert "no such file" in kizu("drift", mine, tmp_path / "無い.csv").error
    assert "no such model file" in kizu("drift", tmp_path / "無い.kizu", good).error
    assert "not UTF-8 text" in kizu("drift", mine, mine).error
    assert "Missing argument 'PREDICTIONS'" in kizu("drift", mine).error
