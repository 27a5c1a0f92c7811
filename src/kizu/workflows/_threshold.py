"""Another decision for a model, without fitting it again: its calibration scores stay, thresholds follow anew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from kizu.arguments import finite_number
from kizu.calibration import Calibration, Decision, conformal
from kizu.calibration.binomial import CONFIDENCE, clopper_pearson
from kizu.calibration.labelled import CrossValidated, Rule, best_threshold, cross_validate
from kizu.calibration.tail import Tail, TailEstimate, fit_tail
from kizu.datasets import Dataset
from kizu.errors import DataError, ParameterError, bad_parameter
from kizu.images import DEFAULT_MAX_PIXELS
from kizu.inspector import Inspector, check_target, identity, versions
from kizu.progress import Progress
from kizu.workflows._evaluate import evaluate

SHARES = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Shares of false alarms whose thresholds are listed."""


@dataclass(frozen=True)
class ShareThreshold:
    """The threshold for a share of false alarms: what the calibration promises, and what its tail lets one estimate.

    ``low`` and ``high`` bound the estimate with 90 %. None where there are too few images, or where it is no tail.
    """

    share: float
    promised: float | None
    estimate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, eq=False)
class Decided:
    """How a model decides, and how it did before.

    ``path``: the model, ``written`` whether it was written. ``above``: calibration images above the threshold, and
    the share of good parts that they say may be: ``(low, high)``, 90 %. ``tail``: the estimate for the share asked
    for, where it is chosen or there are too few images to promise that; ``no_tail`` says why there is none.
    ``expected``: cross-validated figures, of a threshold from labelled images, and ``kept_for_fitting``, good images
    of these that took no part, since a seed divides them. ``shares``: thresholds of other shares.
    """

    path: Path
    old: Calibration
    new: Calibration
    written: bool
    above: int
    above_share: tuple[float, float]
    tail: TailEstimate | None
    no_tail: str | None
    expected: CrossValidated | None
    shares: tuple[ShareThreshold, ...]
    kept_for_fitting: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return {
            "model": str(self.path),
            "written": self.written,
            "decision": _described(self.new),
            "before": _described(self.old),
            "calibration_images": len(self.new.scores),
            "calibration_images_above": self.above,
            "false_alarms_interval": list(self.above_share),
            "tail": None if self.tail is None else self.tail.to_dict(),
            "no_tail": self.no_tail,
            "expected": None if self.expected is None else self.expected.to_dict(),
            "kept_for_fitting": self.kept_for_fitting,
            "shares": [vars(share) for share in self.shares],
        }


def decide(
    model: str | Path,
    *,
    out: str | Path | None = None,
    false_alarms: float | None = None,
    review_budget: float | None = None,
    tail: bool = False,
    value: float | None = None,
    data: str | Path | Dataset | None = None,
    rule: Rule | None = None,
    skip_unreadable: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Progress | None = None,
) -> Decided:
    """Change how a model decides, and write it anew: over itself, or to ``out``. Nothing is fitted.

    Without any wish nothing is written: the result tells how it decides now. ``false_alarms``, ``review_budget``:
    shares of good parts. The NG threshold is that of ``false_alarms``, unless ``tail`` takes the estimate for it,
    ``value`` says it, or ``rule`` (`kizu.calibration.labelled`) chooses it on the labelled test images of ``data``;
    ``false_alarms`` then goes on deciding about pixels and review.

    Raises:
        ParameterError: wishes that exclude each other, or a share or value out of range.
        DataError: too few calibration images for an estimate, or labelled images of one class only.
        ModelFileError: the model is missing or damaged.
        OutputError: it cannot be written, or another program wrote it meanwhile.
    """
    _check(tail, value, data, rule)
    wanted = None if value is None else finite_number("value", value, "a finite number, on the scale of scores")
    wished = any(wish is not None for wish in (false_alarms, review_budget, value, rule)) or tail
    if out is not None and not wished:
        raise ParameterError("another file needs another decision; say which, for example false_alarms 0.005.")
    source, target = Path(model), Path(model if out is None else out)
    if wished:
        check_target(target)
    previous = identity(source)
    inspector = Inspector.look(source) if data is None else Inspector.load(source)
    old = cast(Calibration, inspector.calibration)
    base = _with_shares(old.decision, false_alarms, review_budget)
    expected, kept = None, 0
    if tail:
        base = _by_tail(old, base)
    elif wanted is not None:
        base = replace(base, by="value", threshold=wanted, evidence={})
    elif rule is not None and data is not None:
        found = evaluate(inspector, data, skip_unreadable=skip_unreadable, max_pixels=max_pixels, progress=progress)
        scores, labels = zip(*((result.score, result.label == "bad") for result in found.results), strict=True)
        base, expected = _by_rule(base, rule, list(scores), list(labels), _name(data))
        kept = found.kept_for_fitting
    elif false_alarms is not None:
        base = replace(base, by="false_alarms", threshold=None, evidence={})
    new = old.deciding(base)
    if wished:
        with versions.unchanged(source, previous, target):
            inspector.calibrated(new).save(target)
    return replace(_decided(target, old, new, wished, expected), kept_for_fitting=kept)


def _check(tail: bool, value: float | None, data: object, rule: Rule | None) -> None:
    chosen = [tail, value is not None, rule is not None or data is not None].count(True)
    if chosen > 1:
        raise ParameterError("choose one of: the tail estimate, a value, a rule for labelled images.")
    if (data is None) != (rule is None):
        images, choice = (
            "labelled images to choose by; give --data DATA",
            "what to choose by: best F1, a recall or costs",
        )
        raise ParameterError(f"a threshold from labelled images needs {images if data is None else choice}.")


def _with_shares(decision: Decision, false_alarms: float | None, review_budget: float | None) -> Decision:
    share = decision.false_alarms if false_alarms is None else false_alarms
    budget = decision.review_budget if review_budget is None else review_budget
    return replace(decision, false_alarms=share, review_budget=budget)


def _by_tail(calibration: Calibration, decision: Decision) -> Decision:
    found = _estimate(fit_tail(calibration.scores), decision.false_alarms)
    return replace(decision, by="tail", threshold=found.threshold, evidence=found.to_dict())


def _estimate(tail: Tail, share: float) -> TailEstimate:
    if not 0 < share <= tail.reaches:
        why = f"{tail.count} images promise more without one." if share else "No tail tells what never happens."
        raise bad_parameter("false_alarms", f"above 0 and at most {tail.reaches:.2g} for a tail estimate", share, why)
    return tail.exceeded_by(share)


def _by_rule(
    decision: Decision, rule: Rule, scores: list[float], labels: list[bool], name: str
) -> tuple[Decision, CrossValidated]:
    threshold = best_threshold(scores, labels, rule)
    expected = cross_validate(scores, labels, rule)
    evidence = {"data": name, "rule": vars(rule), "expected": expected.to_dict()}
    return replace(decision, by=rule.by, threshold=threshold, evidence=evidence), expected


def _name(data: str | Path | Dataset) -> str:
    return data.product if isinstance(data, Dataset) else Path(data).name


def _decided(
    path: Path, old: Calibration, new: Calibration, written: bool, expected: CrossValidated | None
) -> Decided:
    above = int((new.scores > new.threshold).sum())
    low, high = clopper_pearson(above, len(new.scores), CONFIDENCE)
    tail, no_tail = _tail_of(new)
    asked = new.decision.false_alarms
    wanted = new.decision.by == "tail" or not new.enough
    estimate = tail.exceeded_by(asked) if tail is not None and wanted and 0 < asked <= tail.reaches else None
    shares = tuple(_share_threshold(new, tail, share) for share in sorted({*SHARES, *_asked(asked)}, reverse=True))
    interval = (float(low), float(high))
    return Decided(path, old, new, written, above, interval, estimate, no_tail, expected, shares)


def _asked(share: float) -> tuple[float, ...]:
    return (share,) if share else ()


def _tail_of(calibration: Calibration) -> tuple[Tail | None, str | None]:
    try:
        return fit_tail(calibration.scores), None
    except DataError as error:
        return None, str(error)


def _share_threshold(calibration: Calibration, tail: Tail | None, share: float) -> ShareThreshold:
    scores = calibration.scores
    promised = conformal.threshold(scores, share) if conformal.rank(share, len(scores)) else None
    if tail is None or share > tail.reaches:
        return ShareThreshold(share, promised, None, None, None)
    found = tail.exceeded_by(share)
    return ShareThreshold(share, promised, found.threshold, found.low, found.high)


def _described(calibration: Calibration) -> dict[str, Any]:
    return {**calibration.decision.to_dict(), **calibration.figures}
