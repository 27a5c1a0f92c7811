"""The tables of a report: figures, verdicts and truth, regions, findings, where the model comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from kizu.calibration import Calibration
from kizu.report.html.content import Finding, FoundRegion, ReportContent
from kizu.report.html.words import Words

MOST_ROWS = 2000
"""Regions in the page; more are in the COCO file."""

MOST_FILES = 8
"""Files that findings of a kind name."""

MOST_MESSAGES = 3
"""Findings of a kind whose words are shown."""

MOST_VALUES = 12
"""Of a list among the facts, such as layers or files set aside, so many are named."""

_SEVERITIES = ("problem", "warning", "note")


@dataclass(frozen=True)
class Cell:
    """A cell of the table of verdicts: how many, which share of the row, and whether they are mistakes."""

    count: int
    share: str
    wrong: bool


@dataclass(frozen=True)
class FindingRow:
    """The findings of one kind as the page shows them, with the first of what they say and of the files they name."""

    severity: str
    title: str
    count: int
    messages: tuple[str, ...]
    advice: str
    files: tuple[str, ...]
    more: int


def confusion_rows(content: ReportContent, words: Words) -> list[tuple[str, list[Cell], int]]:
    """For each label there is: its name, the cells for OK, REVIEW and NG, and how many images it has."""
    rows = []
    for label, name in (("good", "good"), ("bad", "bad"), ("", "unlabelled")):
        total = content.count(label)
        if total:
            wrong = {"good": "ng", "bad": "ok"}.get(label)
            counts = [(verdict, content.count(label, verdict)) for verdict in ("ok", "review", "ng")]
            cells = [Cell(n, words.share(n / total), verdict == wrong and n > 0) for verdict, n in counts]
            rows.append((words(name), cells, total))
    return rows


def image_figures(content: ReportContent, words: Words) -> list[tuple[str, str, str]]:
    """Name, value and note of each measure of image scores."""
    found = content.image_metrics
    if found is None:
        return []
    names = ("auroc", "ap", "f1_max", "f1", "accuracy", "precision", "recall")
    notes = {"f1_max": words("f1_max_note")}
    return [(words(name), words.figure(getattr(found, name)), notes.get(name, "")) for name in names]


def pixel_figures(content: ReportContent, words: Words) -> list[tuple[str, str]]:
    """Name and value of each measure of heat maps against masks."""
    found = content.pixel_metrics
    if found is None:
        return []
    return [
        (words("pixel_auroc"), words.figure(found.auroc)),
        (words("aupro"), words.figure(found.aupro)),
        (words("pixel_ap"), words.figure(found.ap)),
        (words("pixel_f1", threshold=words.score(found.threshold)), words.figure(found.f1)),
        (words("iou"), words.figure(found.iou)),
    ]


def region_rows(content: ReportContent) -> list[tuple[str, int, FoundRegion]]:
    """Regions, the highest peak first: name of the image, its place in the gallery, the region."""
    rows = [(image.name, place, region) for place, image in enumerate(content.ranked) for region in image.regions]
    return sorted(rows, key=lambda row: (-row[2].peak, row[1]))[:MOST_ROWS]


def check_rows(content: ReportContent, words: Words) -> list[FindingRow]:
    """The findings of the data check, those of one kind together, problems first."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in sorted(content.findings or (), key=lambda finding: _SEVERITIES.index(finding.severity)):
        groups.setdefault((finding.severity, finding.kind), []).append(finding)
    return [_check_row(group, words) for group in groups.values()]


def _check_row(group: list[Finding], words: Words) -> FindingRow:
    first = group[0]
    files = tuple(dict.fromkeys(_short(path) for finding in group for path in finding.paths))
    return FindingRow(
        severity=first.severity,
        title=_in_language(f"finding_{first.kind}", first.kind.replace("_", " "), words),
        count=len(group),
        messages=tuple(dict.fromkeys(words.of(finding.wording) for finding in group))[:MOST_MESSAGES],
        advice=_in_language(f"advice_{first.kind}", first.advice, words),
        files=files[:MOST_FILES],
        more=max(0, len(files) - MOST_FILES),
    )


def _in_language(key: str, otherwise: str, words: Words) -> str:
    return words(key) if key in words else otherwise


def _short(path: Path) -> str:
    """A file with its folder, which mostly says what it is taken for."""
    return "/".join(path.parts[-2:])


def decision_lines(content: ReportContent, words: Words) -> list[str]:
    """How the thresholds came about, in words."""
    calibration = content.calibration
    decision, count = calibration.decision, len(calibration.scores)
    key = "dec_few" if decision.by == "false_alarms" and not calibration.enough else f"dec_{decision.by}"
    values = {"asked": words.share(decision.false_alarms), "promised": words.share(calibration.promised)}
    lines = [words(key, n=count, method=words(f"method_{calibration.method}"), **values)]
    if calibration.review_threshold < calibration.threshold:
        lines.append(_review_line(calibration, words))
    return lines


def _review_line(calibration: Calibration, words: Words) -> str:
    """Which good parts a person will look at: a budget beyond false alarms, where these decide what is NG."""
    scores = calibration.scores
    if calibration.decision.by == "false_alarms":
        return words("dec_review", share=words.share(calibration.reviewed))
    between = int(((scores > calibration.review_threshold) & (scores <= calibration.threshold)).sum())
    return words("dec_between", n=len(scores), between=between)


def facts(content: ReportContent, words: Words) -> list[tuple[str, list[tuple[str, str]]]]:
    """Sections of names and values: thresholds, what they rest on, and what the model was made from."""
    calibration = content.calibration
    thresholds = [(words("threshold_ng"), f"{calibration.threshold:.6g}")]
    if calibration.review_threshold < calibration.threshold:
        thresholds.append((words("threshold_review"), f"{calibration.review_threshold:.6g}"))
    thresholds.append((words("threshold_pixel"), f"{calibration.pixel_threshold:.6g}"))
    thresholds.append((words("calibration_images"), f"{len(calibration.scores):,}"))
    thresholds.append((words("speed"), f"{median(image.milliseconds for image in content.images):.1f}"))
    sections = [(words("thresholds"), thresholds)]
    evidence = list(_flat(calibration.decision.evidence))
    if evidence:
        sections.append((words("evidence"), evidence))
    for name, values in content.provenance.items():
        rows = list(_flat(values))
        if rows:
            sections.append((_in_language(f"section_{name}", name, words), rows))
    return sections


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Names and values of a nested mapping, each value as one short text; what is not set is left out."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif value is not None and value != []:
            yield f"{before}{name}", _text(value)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if not isinstance(value, list | tuple):
        return str(value)
    more = [] if len(value) <= MOST_VALUES else [f"… ({len(value):,})"]
    return ", ".join([*map(_text, value[:MOST_VALUES]), *more])
