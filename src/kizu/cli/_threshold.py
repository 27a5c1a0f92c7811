"""``kizu threshold``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kizu.cli import _options
from kizu.errors import quoted
from kizu.wording import percent, plural

if TYPE_CHECKING:
    from kizu.calibration import Calibration
    from kizu.calibration.labelled import CrossValidated, Rule
    from kizu.workflows import Decided


def threshold(
    model: _options.Model,
    false_alarms: Annotated[
        float | None,
        typer.Option(help="Share of good parts that may be called NG. [default: as the model]", metavar="SHARE"),
    ] = None,
    review_budget: Annotated[
        float | None,
        typer.Option(
            help="Further share of good parts that a person looks at; 0: no review. [default: as the model]",
            metavar="SHARE",
        ),
    ] = None,
    tail: Annotated[
        bool,
        typer.Option(
            "--tail", help="Take the estimate from the tail of the scores instead of a promise. [default: off]"
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Labelled images, as for `kizu evaluate`, to choose the threshold on. [default: none]",
            metavar="DATA",
        ),
    ] = None,
    best_f1: Annotated[
        bool, typer.Option("--best-f1", help="With --data: the threshold of the best F1. [default: off]")
    ] = False,
    recall: Annotated[
        float | None,
        typer.Option(help="With --data: the highest that finds this share of defects. [default: none]", metavar="R"),
    ] = None,
    cost_miss: Annotated[
        float | None,
        typer.Option(help="With --data: what a defect that passes costs. [default: none]", metavar="COST"),
    ] = None,
    cost_false_alarm: Annotated[
        float | None,
        typer.Option(help="With --data: what a good part called NG costs. [default: none]", metavar="COST"),
    ] = None,
    defect_rate: Annotated[
        float | None,
        typer.Option(help="With costs: the share of defects in production. [default: as in DATA]", metavar="SHARE"),
    ] = None,
    value: Annotated[
        float | None, typer.Option(help="The threshold itself, a score. [default: none]", metavar="SCORE")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The model file to write. [default: MODEL]", metavar="FILE")
    ] = None,
    skip_unreadable: _options.SkipUnreadable = False,
    max_pixels: _options.MaxPixels = _options.DEFAULT_MAX_PIXELS,
    as_json: _options.Json = False,
) -> None:
    """Show how a model decides, or change it.

    Nothing is fitted again: thresholds follow from the scores of good images kept in the model.
    """
    from kizu.cli import _show
    from kizu.cli._progress import Bars
    from kizu.workflows import decide

    result = decide(
        model,
        out=out,
        false_alarms=false_alarms,
        review_budget=review_budget,
        tail=tail,
        value=value,
        data=data,
        rule=_rule(best_f1, recall, cost_miss, cost_false_alarm, defect_rate),
        skip_unreadable=skip_unreadable,
        max_pixels=max_pixels,
        progress=Bars(),
    )
    if as_json:
        _show.document(result.to_dict())
        return
    _show.not_judged(result.kept_for_fitting)
    _show.lines(_lines(result))


def _rule(
    best_f1: bool, recall: float | None, miss: float | None, false_alarm: float | None, defect_rate: float | None
) -> Rule | None:
    """What the options ask for. Raises `ParameterError` for half of it, or more than one."""
    from kizu.calibration.labelled import BestF1, Cost, Recall
    from kizu.errors import ParameterError

    costs = miss is not None or false_alarm is not None
    if [best_f1, recall is not None, costs].count(True) > 1:
        raise ParameterError("choose one of --best-f1, --recall and --cost-miss with --cost-false-alarm.")
    if defect_rate is not None and not costs:
        raise ParameterError("--defect-rate is for costs; add --cost-miss and --cost-false-alarm.")
    if costs and (miss is None or false_alarm is None):
        raise ParameterError("costs come in pairs; give both --cost-miss and --cost-false-alarm.")
    if best_f1:
        return BestF1()
    if recall is not None:
        return Recall(recall)
    return None if miss is None or false_alarm is None else Cost(miss, false_alarm, defect_rate)


def _lines(result: Decided) -> Iterator[str]:
    new, old = result.new, result.old
    yield f"{result.path}: {_thresholds(new)}"
    if result.written:
        same = (new.threshold, new.review_threshold) == (old.threshold, old.review_threshold)
        yield "  before: the same; neither has changed" if same else f"  before: {_thresholds(old)}"
    yield from (f"  {line}" for line in _reasons(result))
    if result.expected is not None:
        yield from _expected(result.expected)
        yield "  An evaluation of this model on the same images would flatter it: the threshold was chosen on them."
    yield ""
    yield from _table(result)
    yield ""
    if result.written:
        yield f"Wrote {result.path}. Nothing was fitted; to change it again: kizu threshold {quoted(result.path)} ..."
    else:
        yield f"To change it: kizu threshold {quoted(result.path)} --false-alarms 0.005"


def _thresholds(calibration: Calibration) -> str:
    review, limit = calibration.review_threshold, calibration.threshold
    return f"NG above {limit:.4g}, " + (f"REVIEW above {review:.4g}" if review < limit else "no REVIEW")


def _reasons(result: Decided) -> Iterator[str]:
    """What the NG threshold rests on, and what that says of good parts."""
    from kizu.cli import _show_model

    calibration, decision = result.new, result.new.decision
    count = len(calibration.scores)
    yield f"by {plural(count, 'good image')}, {_show_model.SCORED[calibration.method]}"
    if decision.by == "false_alarms":
        yield f"NG: at most {percent(calibration.promised)} of good parts, in expectation; promised"
        yield from _too_few(result)
    else:
        yield _CHOSEN[decision.by].format(**_evidence(calibration), asked=percent(decision.false_alarms))
        low, high = map(percent, result.above_share)
        above = f"{result.above} of the {count} good images {_are(result.above)} above"
        yield f"{above}: {low} to {high} of good parts, 90 % sure"
    yield from _review(calibration)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _review(calibration: Calibration) -> Iterator[str]:
    """Which good parts a person will look at: a budget beyond false alarms, whatever else decides what is NG."""
    decision, scores = calibration.decision, calibration.scores
    limit, review = calibration.threshold, calibration.review_threshold
    if review < limit and decision.by == "false_alarms":
        yield f"REVIEW: {percent(calibration.reviewed)} more of good parts, for a person to look at"
    elif review < limit:
        between = int(((scores > review) & (scores <= limit)).sum())
        yield f"REVIEW: {between} of the {len(scores)} good images {_are(between)} between, for a person to look at"
    elif decision.by == "false_alarms" and decision.review_budget and not (scores > limit).any():
        fewest = math.ceil(2 / (decision.false_alarms + decision.review_budget) - 1e-9) - 1
        few = f"{plural(len(scores), 'good image')} {_are(len(scores))} too few to tell it from NG"
        yield f"REVIEW: none; {few}. Give {fewest} or more"
    elif decision.review_budget:
        both = percent(min(1.0, decision.false_alarms + decision.review_budget))
        yield f"REVIEW: none; as many good images are NG already as the {both} of false alarms and review together"


_CHOSEN = {
    "tail": "NG: an estimate for {asked} of good parts, not a promise; the score is {low} to {high}, 90 % sure",
    "f1": "NG: chosen by the best F1 on labelled images ({data})",
    "recall": "NG: chosen to find {share} of the defects of labelled images ({data})",
    "cost": "NG: chosen by costs on labelled images ({data}): {miss} a miss, {false_alarm} a false alarm{rate}",
    "value": "NG: chosen by hand",
}


def _evidence(calibration: Calibration) -> dict[str, str]:
    """What `_CHOSEN` names of a decision's evidence, ready to print."""
    evidence = calibration.decision.evidence
    rule = evidence.get("rule", {})
    rate = rule.get("defect_rate")
    return {
        **{name: f"{evidence.get(name, float('nan')):.4g}" for name in ("low", "high")},
        "data": str(evidence.get("data", "")),
        "share": percent(rule.get("share", 0.0)),
        **{name: f"{rule.get(name, 0.0):g}" for name in ("miss", "false_alarm")},
        "rate": "" if rate is None else f", {percent(rate)} defects in production",
    }


def _too_few(result: Decided) -> Iterator[str]:
    """That the share asked for cannot be promised, and what can be done."""
    from kizu.calibration import conformal

    calibration, asked = result.new, result.new.decision.false_alarms
    count = len(calibration.scores)
    if calibration.enough:
        return
    more = f"For that it takes {conformal.enough(asked)}; `kizu update` adds some." if asked else "No number does."
    yield f"asked for: {percent(asked)}, which {plural(count, 'good image')} cannot promise. {more}"
    if result.tail is not None:
        low, high = result.tail.low, result.tail.high
        yield (
            f"estimate for {percent(asked)}: {result.tail.threshold:.4g} ({low:.4g} to {high:.4g}, 90 % sure, if "
            "the tail goes on as it began). Take it with --tail."
        )
    elif result.no_tail is not None and asked:
        yield f"no estimate: {result.no_tail}"


def _expected(found: CrossValidated) -> Iterator[str]:
    """Figures that are not fitted to what they judge."""
    folds = f"cross-validated, {found.folds} folds, {found.repeats} times; 90 % sure"
    yield f"  To be expected of other parts like these {found.good} good and {found.bad} bad ones ({folds}):"
    rows = [
        ("good parts called NG", found.false_alarms, found.false_alarms_interval),
        ("defects not called NG", found.missed, found.missed_interval),
    ]
    for name, share, (low, high) in rows:
        yield f"    {name:<22} {percent(share)} ({percent(low)} to {percent(high)})"
    yield f"    {'F1':<22} {found.f1:.3f} ({found.f1_interval[0]:.3f} to {found.f1_interval[1]:.3f})"
    if found.cost is not None and found.cost_interval is not None:
        low, high = found.cost_interval
        yield f"    {'cost a part':<22} {found.cost:.3g} ({low:.3g} to {high:.3g})"


def _table(result: Decided) -> Iterator[str]:
    yield f"  {'false alarms':<14}{'promised':<12}estimate, 90 % sure"
    for row in result.shares:
        promised = "-" if row.promised is None else f"{row.promised:.4g}"
        estimate = "-"
        if row.estimate is not None and row.low is not None and row.high is not None:
            estimate = f"{row.estimate:.4g}, {row.low:.4g} to {row.high:.4g}"
        yield f"  {percent(row.share):<14}{promised:<12}{estimate}"
