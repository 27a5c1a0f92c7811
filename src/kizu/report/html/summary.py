"""What a manager reads: how the model does on each count, in a few sentences, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kizu.calibration import conformal
from kizu.report.html.chance import as_promised, at_most, within
from kizu.report.html.content import ReportContent
from kizu.report.html.words import Words

Light = Literal["good", "attention", "problem", "note"]

TOLERATED_MISSES = 0.05
"""Share of defects missed up to which it is called worth a look, not a problem."""

FEW_DEFECTS = 30
"""With fewer a share of misses says little."""


@dataclass(frozen=True)
class Card:
    """One subject of the summary: how it stands, and why."""

    title: str
    light: Light
    sentences: tuple[str, ...]


def headline(content: ReportContent, words: Words) -> tuple[str, ...]:
    """What becomes of 100 good and of 100 defective parts; nothing of a kind that there is not."""
    said = []
    for label in ("good", "bad"):
        count = content.count(label)
        if count:
            shares = {v: _per_hundred(content.count(label, v) / count, words) for v in ("ok", "review", "ng")}
            said.append(words(f"head_{label}", **shares))
    return tuple(said)


def _per_hundred(share: float, words: Words) -> str:
    """So many of 100; "none" and "all" mean exactly that."""
    if share in (0, 1):
        return words("hundred_all" if share else "hundred_none")
    if share < 0.01:
        return words("hundred_some")
    return words("hundred_most") if share > 0.99 else words("hundred_about", n=round(100 * share))


def cards(content: ReportContent, words: Words) -> tuple[Card, ...]:
    """The subjects of the summary; without labels one on the verdicts takes the place of good parts and defects."""
    judged = (_good, _bad) if content.labelled else (_verdicts,)
    return tuple(make(content, words) for make in (*judged, _work, _data))


def _good(content: ReportContent, words: Words) -> Card:
    count, wrong = content.count("good"), content.count("good", "ng")
    if not count:
        return Card(words("card_good"), "note", (words("no_good"),))
    kept = as_promised(content.calibration, wrong, count)
    seen = words("good_called_ng", n=count, count=wrong, share=words.share(wrong / count))
    light: Light = "note" if kept is None else "good" if kept and enough(content) else "attention"
    return Card(words("card_good"), light, (seen, *_promise(content, words, kept)))


def enough(content: ReportContent) -> bool:
    """Whether there were good images enough to promise the share of false alarms asked for."""
    return content.calibration.decision.by != "false_alarms" or content.calibration.enough


def _promise(content: ReportContent, words: Words, kept: bool | None) -> tuple[str, ...]:
    calibration = content.calibration
    asked = words.share(calibration.decision.false_alarms)
    if kept is None:
        return (words("no_promise"),)
    if not enough(content):
        promised = words.share(calibration.promised)
        weaker = words("promise_weaker", n=len(calibration.scores), asked=asked, promised=promised)
        return (weaker,) if kept else (weaker, words("promise_broken", asked=promised))
    return (words("promise_kept" if kept else "promise_broken", asked=asked),)


def _bad(content: ReportContent, words: Words) -> Card:
    count, missed = content.count("bad"), content.count("bad", "ok")
    if not count:
        return Card(words("card_bad"), "note", (words("no_bad"),))
    reviewed = content.count("bad", "review")
    sentences = [words("bad_caught", n=count, caught=content.count("bad", "ng"))]
    if reviewed:
        sentences.append(words("bad_reviewed", n=reviewed))
    share = words.share(missed / count)
    sentences.append(words("bad_missed", n=missed, share=share) if missed else words("none_missed"))
    sentences.append(words("missed_at_most", share=words.share(at_most(missed, count))))
    light: Light = "good" if not missed else "attention" if missed / count <= TOLERATED_MISSES else "problem"
    return Card(words("card_bad"), light, tuple(sentences))


def _verdicts(content: ReportContent, words: Words) -> Card:
    count, calibration = content.count(), content.calibration
    numbers = {verdict: content.count(None, verdict) for verdict in ("ok", "review", "ng")}
    sentences = [words("unlabelled_verdicts", n=count, **numbers)]
    if calibration.decision.by == "false_alarms":
        expected = round(count * sum(_shares(content)))
        sentences.append(words("unlabelled_expected", expected=expected))
    sentences.append(words("unlabelled_unknown"))
    return Card(words("card_verdicts"), "note", tuple(sentences))


def _work(content: ReportContent, words: Words) -> Card:
    count, looked = content.count(), content.count(None, "review")
    calibration = content.calibration
    if calibration.review_threshold >= calibration.threshold and not looked:
        return Card(words("card_work"), "note", (words("no_review"),))
    sentences = [
        words("work_review", n=count, count=looked, share=words.share(looked / count)),
        words("work_rest", ng=content.count(None, "ng"), ok=content.count(None, "ok")),
    ]
    kept = reviews_as_asked(content)
    if kept is not None:
        share, asked = words.share(_above(content) / content.count("good")), words.share(_asked(content))
        sentences.append(words("review_kept" if kept else "review_broken", share=share, asked=asked))
    if calibration.decision.by == "false_alarms":
        ng, review = _shares(content)
        sentences.append(words("work_line", review=round(1000 * review), ng=round(1000 * ng)))
    return Card(words("card_work"), "note" if kept is None else "good" if kept else "attention", tuple(sentences))


def reviews_as_asked(content: ReportContent) -> bool | None:
    """Whether chance explains how many good parts are not OK; None without good parts, or without a promise."""
    good, calibration = content.count("good"), content.calibration
    if not good or calibration.decision.by != "false_alarms":
        return None
    return within(_asked(content), len(calibration.scores), _above(content), good)


def _above(content: ReportContent) -> int:
    return content.count("good") - content.count("good", "ok")


def _asked(content: ReportContent) -> float:
    """The share of good parts that may be NG or for a person."""
    decision = content.calibration.decision
    return min(1.0, decision.false_alarms + decision.review_budget)


def _shares(content: ReportContent) -> tuple[float, float]:
    """The shares of good parts that are NG, and that are for a person, as the calibration promises them."""
    calibration, count = content.calibration, len(content.calibration.scores)
    above = int((calibration.scores >= calibration.review_threshold).sum())
    ng = conformal.promised(calibration.decision.false_alarms, count)
    return ng, max(0.0, above / (count + 1) - ng)


def _data(content: ReportContent, words: Words) -> Card:
    sentences = [words("data_read", n=len(content.images))]
    if content.skipped:
        sentences.append(words("data_skipped", n=len(content.skipped)))
    if content.findings is None:
        light: Light = "attention" if content.skipped else "note"
        return Card(words("card_data"), light, (*sentences, words("data_unchecked")))
    problems, warnings = severe(content, "problem"), severe(content, "warning")
    if problems or warnings:
        sentences.append(words("data_found", problems=problems, warnings=warnings))
    else:
        sentences.append(words("data_clean"))
    light = "problem" if problems else "attention" if warnings or content.skipped else "good"
    return Card(words("card_data"), light, tuple(sentences))


def severe(content: ReportContent, severity: str) -> int:
    """How many findings of the data check are of that severity."""
    return sum(finding.severity == severity for finding in content.findings or ())
