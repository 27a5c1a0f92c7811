"""Deciding anew: what is chosen, what is written, and that nothing else of a model changes."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kizu
from kizu.calibration import Calibration, Decision
from kizu.calibration.labelled import BestF1, Cost, Recall, best_threshold
from kizu.calibration.tail import fit_tail
from kizu.errors import DataError, ModelFileError, OutputError, ParameterError
from kizu.workflows import Decided, decide
from workflows.tiles import good


def calibrated(model: Path, target: Path, scores: Any, **decision: Any) -> Path:
    """``model`` with other calibration scores."""
    made = Calibration(np.array(scores, np.float64), np.array(scores, np.float64), Decision(**decision))
    kizu.load(model).calibrated(made).save(target)
    return target


@pytest.fixture
def many(model: Path, tmp_path: Path) -> Path:
    """A model with 199 calibration scores: 1, 2, … 199."""
    return calibrated(model, tmp_path / "多.kizu", range(1, 200))


@pytest.fixture
def few(model: Path, tmp_path: Path) -> Path:
    """A model with 40 calibration scores."""
    return calibrated(model, tmp_path / "少.kizu", np.random.default_rng(0).gamma(4.0, size=40))


def written(path: Path) -> Calibration:
    found = kizu.load(path).calibration
    assert found is not None
    return found


def test_without_a_wish_it_only_tells(many: Path) -> None:
    before = many.read_bytes()
    found = decide(many)
    assert (found.written, found.old.to_dict()) == (False, found.new.to_dict())
    assert many.read_bytes() == before
    assert found.new.threshold == 198.0
    promised = {row.share: row.promised for row in found.shares}
    assert promised == {0.1: 180.0, 0.05: 190.0, 0.02: 196.0, 0.01: 198.0, 0.005: 199.0, 0.002: None, 0.001: None}
    assert found.tail is None  # 1 % is promised
    assert (found.above, found.above_share[0] < 0.01 < found.above_share[1]) == (1, True)


def test_another_share(many: Path) -> None:
    found = decide(many, false_alarms=0.05, review_budget=0.1)
    assert found.written
    now = written(many)
    assert (now.threshold, now.review_threshold) == (190.0, 170.0)
    assert (now.decision.by, now.decision.false_alarms, now.decision.review_budget) == ("false_alarms", 0.05, 0.1)
    decide(many, review_budget=0.0)
    assert (written(many).threshold, written(many).review_threshold) == (190.0, 190.0)


def test_nothing_else_of_the_model_changes(each_model: Path, parts: Path, tmp_path: Path) -> None:
    out = tmp_path / "新.kizu"
    before = each_model.read_bytes()
    decide(each_model, value=0.5, out=out)
    assert each_model.read_bytes() == before
    old, new = kizu.load(each_model), kizu.load(out)
    assert (new.config, new.provenance, new.check_files) == (old.config, old.provenance, old.check_files)
    image = next((parts / "bad").iterdir())
    assert new.predict(image).score == old.predict(image).score
    assert (new.predict(image).threshold, new.predict(image).verdict) == (0.5, "ng")
    decide(out, false_alarms=old.config.false_alarms)
    assert out.read_bytes() == before  # back, to the last bit


def test_the_tail(few: Path) -> None:
    found = decide(few)
    estimate = fit_tail(found.new.scores).exceeded_by(0.01)
    assert found.tail == estimate  # too few for 1 %, so it is told
    assert found.new.threshold == found.new.scores.max()
    found = decide(few, tail=True)
    now = written(few)
    assert (now.threshold, now.decision.by) == (estimate.threshold, "tail")
    assert now.decision.evidence == json.loads(json.dumps(estimate.to_dict()))
    assert now.review_threshold < now.threshold
    assert decide(few, tail=True, false_alarms=0.001).new.threshold > estimate.threshold
    assert decide(few, false_alarms=0.05).new.decision == Decision(false_alarms=0.05)


def test_a_value(many: Path) -> None:
    found = decide(many, value=150.5)
    assert (found.above, written(many).threshold, written(many).decision.by) == (49, 150.5, "value")
    low, high = found.above_share
    assert low < 49 / 199 < high
    assert written(many).decision.false_alarms == 0.01


@pytest.mark.parametrize("rule", [BestF1(), Recall(1.0), Cost(50, 1, 0.01)])
def test_labelled_images(model: Path, parts: Path, tmp_path: Path, rule: Any) -> None:
    out = tmp_path / "新.kizu"
    found = decide(model, data=parts, rule=rule, out=out)
    results = kizu.evaluate(model, parts).results
    scores, labels = [r.score for r in results], [r.label == "bad" for r in results]
    assert written(out).threshold == found.new.threshold == best_threshold(scores, labels, rule)
    assert found.expected is not None
    assert (found.expected.bad, found.expected.good) == (sum(labels), len(labels) - sum(labels))
    evidence = written(out).decision.evidence
    assert (evidence["data"], evidence["expected"]["missed"]) == (parts.name, found.expected.missed)
    assert written(out).decision.by == rule.by
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["decision"]["by"] == rule.by


def test_an_update_made_meanwhile_is_not_lost(
    model: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kizu.workflows import _threshold

    part = Path(shutil.copy(model, tmp_path / "部品.kizu"))
    new = good(tmp_path / "batch", 3, first=400)

    def evaluate(*arguments: Any, **more: Any) -> Any:
        kizu.update(part, new)
        return plain(*arguments, **more)

    plain = _threshold.evaluate
    monkeypatch.setattr(_threshold, "evaluate", evaluate)
    with pytest.raises(OutputError, match="was changed by another program meanwhile; nothing was written"):
        decide(part, data=parts, rule=BestF1())
    assert len(kizu.load(part).provenance["history"]) == 1


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"false_alarms": 1.0}, r"`false_alarms` must be in \[0, 1\); got 1.0. For one percent write 0.01"),
        ({"false_alarms": -0.1}, "`false_alarms` must be"),
        ({"false_alarms": math.nan}, "`false_alarms` must be"),
        ({"review_budget": 1.0}, "`review_budget` must be"),
        ({"value": math.nan}, "`value` must be a finite number"),
        ({"value": math.inf}, "`value` must be a finite number"),
        ({"tail": True, "false_alarms": 0.0}, "`false_alarms` must be above 0 .* No tail tells what never happens"),
        ({"tail": True, "false_alarms": 0.6}, "199 images promise more without one"),
        ({"tail": True, "value": 1.0}, "choose one of"),
        ({"rule": BestF1()}, "needs labelled images to choose by; give --data DATA"),
        ({"data": "x"}, "needs what to choose by: best F1, a recall or costs"),
        ({"data": "x", "rule": BestF1(), "value": 3.0}, "choose one of"),
        ({"out": "x.kizu"}, "another file needs another decision"),
    ],
)
def test_impossible_wishes(many: Path, wish: dict[str, Any], words: str) -> None:
    before = many.read_bytes()
    with pytest.raises(ParameterError, match=words):
        decide(many, **wish)
    assert many.read_bytes() == before


@pytest.mark.parametrize(
    ("scores", "words"),
    [([1.0], "needs 10 scores of good images; got 1"), ([1.0] * 3, "got 3"), ([2.0] * 30, "do not differ")],
)
def test_no_tail_to_estimate(model: Path, tmp_path: Path, scores: list[float], words: str) -> None:
    path = calibrated(model, tmp_path / "a.kizu", scores)
    found: Decided = decide(path)
    assert found.tail is None
    assert found.no_tail is not None
    assert words in found.no_tail
    assert all(row.estimate is None for row in found.shares)
    with pytest.raises(DataError, match=words):
        decide(path, tail=True)
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.filterwarnings("ignore:the model has learnt")
def test_labelled_images_of_one_kind(model: Path, parts: Path, tmp_path: Path) -> None:
    listing = tmp_path / "list.csv"
    rows = [f"{path},test,good" for path in sorted((parts / "good").iterdir())[:4]]
    listing.write_text("path,split,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="there are no defects among the labelled images"):
        decide(model, data=listing, rule=BestF1(), out=tmp_path / "x.kizu")
    assert not (tmp_path / "x.kizu").exists()


def test_where_nothing_can_be_read_or_written(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such model file"):
        decide(tmp_path / "無い.kizu")
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(OutputError):
        decide(model, value=1.0, out=tmp_path / "file" / "x.kizu")


@pytest.mark.parametrize("number", [np.float32, np.int64])
def test_numbers_of_numpy(many: Path, number: Any) -> None:
    found = decide(many, value=number(150), false_alarms=number(0), review_budget=number(0))
    assert json.loads(json.dumps(found.to_dict()))["decision"]["threshold"] == 150.0
    assert kizu.load(many).calibration.threshold == 150.0
    assert found in {found}


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"value": "3"}, "`value` must be a finite number, on the scale of scores; got '3'"),
        ({"value": True}, "`value` must be a finite number, on the scale of scores; got True"),
        ({"false_alarms": "0.1"}, r"`false_alarms` must be in \[0, 1\); got '0\.1'"),
        ({"review_budget": "0.1"}, r"`review_budget` must be in \[0, 1\); got '0\.1'"),
    ],
)
def test_wishes_that_are_no_numbers(many: Path, wish: Any, words: str) -> None:
    before = many.read_bytes()
    with pytest.raises(ParameterError, match=words):
        decide(many, **wish)
    assert many.read_bytes() == before
