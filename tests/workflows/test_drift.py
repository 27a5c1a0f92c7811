"""Drift in tables of predictions: what is read, what is compared with what, and what is said."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import kizu
from kizu.calibration import Calibration, Decision
from kizu.calibration.drift import watch
from kizu.errors import DataError, KizuWarning, MissingExtraError, ParameterError
from kizu.report import PredictionRow, PredictionTable
from kizu.workflows import draw_drift, find_drift, predict
from kizu.workflows._predictions_file import read_predictions

RNG = np.random.default_rng(0)
KNOWN = RNG.gamma(9.0, size=300)
LIMIT = float(np.sort(KNOWN)[-3])


@pytest.fixture(scope="module")
def inspector(model: Path) -> kizu.Inspector:
    return kizu.load(model).calibrated(Calibration(KNOWN, KNOWN, Decision(false_alarms=0.01)))


def table(path: Path, scores: Any, threshold: float = LIMIT) -> Path:
    with PredictionTable(path) as found:
        for place, score in enumerate(scores):
            verdict = "ng" if score > threshold else "ok"
            p_value = (1 + int((score <= KNOWN).sum())) / (1 + len(KNOWN))
            found.append(PredictionRow(f"=部品/{place}.png", float(score), threshold, verdict, p_value, 1.0))
    return path


def drawn(count: int, shift: float = 0.0, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).gamma(9.0, size=count) + shift


def test_rows_alike_are_no_drift(inspector: kizu.Inspector, tmp_path: Path) -> None:
    found = find_drift(inspector, [table(tmp_path / "p.csv", drawn(400))])
    assert not found.drifted
    assert len(found.rows) == 400
    assert len(found.watched) == int((drawn(400) < LIMIT).sum()) < 400
    assert found.known == 297  # the three highest are not below the threshold


@pytest.mark.parametrize(("shift", "direction"), [(4.0, "higher"), (-4.0, "lower")])
def test_a_change_is_found_over_several_tables(
    inspector: kizu.Inspector, tmp_path: Path, shift: float, direction: str
) -> None:
    one, other = table(tmp_path / "月.csv", drawn(150)), table(tmp_path / "火.csv", drawn(150, shift, 2))
    found = find_drift(inspector, [one, other])
    assert found.drifted
    assert found.scores.direction == direction
    assert found.scores.alarm is not None
    assert found.scores.since is not None
    alarm, since = found.row(found.scores.alarm), found.row(found.scores.since)
    assert alarm.file == other
    assert abs(found.watched[found.scores.since] - 150) <= 15
    told = found.to_dict()
    assert told["scores"]["alarm"]["line"] == alarm.line
    assert told["scores"]["since"]["path"] == since.path
    assert told["scores"]["alarm"]["row"] == 150 + alarm.line - 2
    assert alarm.path.startswith("./=部品/")
    json.dumps(told, allow_nan=False)


def test_defects_are_no_drift_unless_asked_for(inspector: kizu.Inspector, tmp_path: Path) -> None:
    scores = drawn(300)
    scores[::5] = 60.0
    path = table(tmp_path / "p.csv", scores)
    assert not find_drift(inspector, [path]).drifted
    found = find_drift(inspector, [path], every_row=True)
    assert found.scores.alarm is not None
    assert (len(found.watched), found.known) == (300, 300)
    assert found.ng_share == pytest.approx((scores > LIMIT).mean())


def test_more_and_more_ng(inspector: kizu.Inspector, tmp_path: Path) -> None:
    scores = drawn(400)
    scores[200::3] = 60.0
    found = find_drift(inspector, [table(tmp_path / "p.csv", scores)])
    assert found.scores.alarm is None
    assert found.drifted
    assert found.ng.direction == "higher"
    assert found.ng.since == pytest.approx(200, abs=15)
    assert found.periods[0].ng < 0.1 < found.periods[-1].ng
    assert (found.periods[0].first, found.periods[-1].last, len(found.periods)) == (0, 399, 10)
    assert found.periods[0].middle == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize(
    ("decision", "above"),
    [(Decision(false_alarms=0.01), 2), (Decision("value", threshold=float(np.sort(KNOWN)[-30]) + 1e-9), 29)],
)
def test_more_ng_than_good_parts_are_promised(
    inspector: kizu.Inspector, tmp_path: Path, decision: Decision, above: int
) -> None:
    """Also at a threshold set by hand: the calibration scores above it tell what to expect of good parts."""
    asked = inspector.calibrated(Calibration(KNOWN, KNOWN, decision))
    assert asked.calibration is not None
    limit, beyond = asked.calibration.threshold, []
    for ng in range(0, 61, 4):
        scores = np.concatenate([np.full(ng, limit + 1), np.full(100 - ng, limit - 1)])
        found = find_drift(asked, [table(tmp_path / f"{ng}.csv", scores, limit)])
        assert found.ng_promised == (above + 1) / 301
        alike = stats.betabinom(100, above + 1, 300 - above).sf(ng - 1)
        assert found.ng_beyond == (alike < 0.05)
        beyond.append(found.ng_beyond)
    assert {*beyond} == {True, False}


def test_a_threshold_below_all_promises_nothing(inspector: kizu.Inspector, tmp_path: Path) -> None:
    asked = inspector.calibrated(Calibration(KNOWN, KNOWN, Decision("value", threshold=0.0)))
    found = find_drift(asked, [table(tmp_path / "a.csv", drawn(20), 0.0)], every_row=True)
    assert (found.ng_share, found.ng_promised, found.ng_beyond) == (1.0, 1.0, False)


def test_it_is_the_test_of_the_library(inspector: kizu.Inspector, tmp_path: Path) -> None:
    scores = drawn(120)
    path = table(tmp_path / "p.csv", scores)
    found = find_drift(inspector, [path], false_alarm_rate=0.1, seed=7)
    below = scores[scores < LIMIT]
    expected = watch(KNOWN[KNOWN < LIMIT], below, false_alarm_rate=0.05, rng=np.random.default_rng(7))
    np.testing.assert_array_equal(found.scores.evidence, expected.evidence)
    assert found.scores.limit == found.ng.limit == expected.limit
    alone = find_drift(inspector, [path], rows_alone=True)
    assert alone.known == 0
    assert not np.array_equal(alone.scores.evidence, expected.evidence)


def test_scores_on_the_threshold_are_left_out(inspector: kizu.Inspector, tmp_path: Path) -> None:
    found = find_drift(inspector, [table(tmp_path / "p.csv", [LIMIT, 1.0, LIMIT + 1])])
    assert found.watched == (1,)


def test_tables_of_kizu_predict(model: Path, parts: Path, tmp_path: Path) -> None:
    made = list(predict(model, [parts / "good"], out=tmp_path))
    rows = read_predictions([tmp_path / "predictions.csv"])
    assert [(row.score, row.threshold, row.verdict) for row in rows] == [
        (p.score, p.threshold, p.verdict) for p in made
    ]
    assert [row.line for row in rows] == list(range(2, 2 + len(rows)))
    assert len(find_drift(model, [tmp_path / "predictions.csv"]).rows) == len(made)


def test_a_table_that_is_still_written(inspector: kizu.Inspector, tmp_path: Path) -> None:
    whole = table(tmp_path / "p.csv", drawn(20)).read_bytes()
    part = tmp_path / "predictions.csv.part"
    part.write_bytes(whole[:-9])
    assert len(read_predictions([part])) == 19
    part.write_bytes(whole)
    assert len(read_predictions([part])) == 20


@pytest.mark.parametrize(("header", "more"), [("path,score,threshold", f",{LIMIT:.6g}"), ("path,score", "")])
def test_nothing_is_told_of_the_same_threshold_nor_of_none(
    inspector: kizu.Inspector, tmp_path: Path, header: str, more: str
) -> None:
    path = tmp_path / "p.csv"
    path.write_text(f"{header}\n" + "".join(f"a,{score}{more}\n" for score in drawn(20)))
    assert len(find_drift(inspector, [path]).rows) == 20  # a warning is an error here


def test_another_threshold_is_told_once(inspector: kizu.Inspector, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("path,score,threshold\n" + "".join(f"a,{score},{LIMIT * 1.1}\n" for score in drawn(20)))
    with pytest.warns(
        KizuWarning, match=r"p\.csv, line 2: written under the threshold .* of another|.*another model"
    ) as told:
        find_drift(inspector, [path])
    assert len(told) == 1


def test_rows_of_another_model_are_told_by_their_p_value(
    inspector: kizu.Inspector, model: Path, parts: Path, tmp_path: Path
) -> None:
    list(predict(model, [parts / "good"], out=tmp_path))
    made = [tmp_path / "predictions.csv"]
    find_drift(inspector.calibrated(kizu.load(model).calibration.deciding(Decision(false_alarms=0.2))), made)
    with pytest.warns(KizuWarning, match=r"line \d+: scored by another model than .* or by this one before") as told:
        find_drift(inspector, made, every_row=True)
    assert len(told) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no column path and no column score"),
        ("path,points\na,1\n", "no column score in its first line"),
        ("path,score\n", "the tables hold no predictions yet"),
        ("path,score\na,1\nb,nan\n", "line 3: the score 'nan' is not a finite number"),
        ("path,score\na,inf\n", "line 2: the score 'inf'"),
        ("path,score\na\n", "line 2: the score None"),
        ("path,score,threshold\na,1,x\n", "line 2: the threshold 'x'"),
        ('path,score\n"a,1\n', "not a CSV file"),
    ],
)
def test_what_is_no_table_of_predictions(inspector: kizu.Inspector, tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "表.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        find_drift(inspector, [path])


def test_what_is_no_file_of_text(inspector: kizu.Inspector, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\xff")
    for path, words in (
        (tmp_path / "無い.csv", "no such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "a.png", "not UTF-8"),
    ):
        with pytest.raises(DataError, match=words):
            find_drift(inspector, [path])


def test_nothing_below_the_threshold(inspector: kizu.Inspector, tmp_path: Path) -> None:
    assert inspector.calibration is not None
    limit = inspector.calibration.threshold  # a score of just that is OK, but says nothing of drift
    path = table(tmp_path / "p.csv", [99.0, limit, limit])
    words = re.escape(f"no row is below the threshold {limit:.6g}, so none is left to look for drift; use --all to ")
    with pytest.raises(DataError, match=words):
        find_drift(inspector, [path])
    assert len(find_drift(inspector, [path], every_row=True).watched) == 3


@pytest.mark.parametrize("rate", [0.0, 1.0, float("nan")])
def test_impossible_rates(inspector: kizu.Inspector, tmp_path: Path, rate: float) -> None:
    with pytest.raises(ParameterError, match="`false_alarm_rate`"):
        find_drift(inspector, [table(tmp_path / "p.csv", [1.0])], false_alarm_rate=rate)


def test_a_picture(inspector: kizu.Inspector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.concatenate([drawn(60), drawn(60, 4.0, 2)])
    found = find_drift(inspector, [table(tmp_path / "p.csv", scores)])
    draw_drift(found, tmp_path / "図" / "drift.png")
    assert (tmp_path / "図" / "drift.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r'pip install "kizu\[report\]"'):
        draw_drift(found, tmp_path / "again.png")
    assert not (tmp_path / "again.png").exists()


def test_a_table_alone_is_one(inspector: kizu.Inspector, tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", KNOWN[:20])
    for given in (path, str(path)):
        assert find_drift(inspector, given).rows == find_drift(inspector, [path]).rows
    with pytest.raises(ParameterError, match=r"`false_alarm_rate` must be in \(0, 1\); got '0\.1'"):
        find_drift(inspector, path, false_alarm_rate="0.1")  # type: ignore[arg-type]
