"""What to do next, from what a report found."""

from __future__ import annotations

from collections.abc import Iterator

from kizu.calibration import conformal
from kizu.errors import quoted
from kizu.report.html.chance import as_promised
from kizu.report.html.content import ReportContent
from kizu.report.html.summary import FEW_DEFECTS, enough, reviews_as_asked, severe
from kizu.report.html.words import Words, in_code


def next_steps(content: ReportContent, words: Words) -> tuple[str, ...]:
    """Sentences with commands in `backquotes`, the most pressing first; one at least."""
    steps = [*_on_data(content, words), *_on_labels(content, words), *_on_calibration(content, words)]
    if content.labelled and not content.count("bad", "ok") and not severe(content, "problem"):
        steps.append(words("next_line", model=_model(content)))
    return tuple(steps)


def _on_data(content: ReportContent, words: Words) -> Iterator[str]:
    if severe(content, "problem"):
        yield words("next_data")
    if content.skipped:
        yield words("next_skipped")


def _on_labels(content: ReportContent, words: Words) -> Iterator[str]:
    if not content.labelled:
        yield words("next_label", model=_model(content))
        return
    missed, defects, good = content.count("bad", "ok"), content.count("bad"), content.count("good")
    if missed:
        yield words("next_misses", n=missed, model=_model(content), budget=_larger_budget(content))
    wrong = content.count("good", "ng")
    if wrong and as_promised(content.calibration, wrong, good) is not True:
        yield words("next_false_alarms", n=wrong, model=_model(content))
    elif reviews_as_asked(content) is False:
        yield words("next_reviews", model=_model(content))
    if not good:
        yield words("next_good")
    if not defects:
        yield words("next_defects")
    elif defects < FEW_DEFECTS:
        yield words("next_few_defects", n=defects)


def _model(content: ReportContent) -> str:
    """As a command line takes it, and as it may stand in `backquotes`."""
    return in_code(quoted(content.model))


def _larger_budget(content: ReportContent) -> str:
    """Twice the review budget, 0.05 where there is none."""
    return f"{min(2 * content.calibration.decision.review_budget, 0.5) or 0.05:g}"


def _on_calibration(content: ReportContent, words: Words) -> Iterator[str]:
    calibration = content.calibration
    asked = calibration.decision.false_alarms
    if asked and not enough(content):
        yield words("next_more_good", asked=words.share(asked), n=conformal.enough(asked), model=_model(content))
