"""The charts of a report: scores, ROC, precision and recall, workload, kinds of defects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kizu.metrics import ScoreCounts, count_scores, pr_curve, roc_curve
from kizu.report.html.chart_style import (
    BAD,
    EDGE,
    NOW,
    PAINT,
    SYMBOL,
    Figure,
    axis,
    figure,
    safe,
    shares,
    zones,
)
from kizu.report.html.content import Label, ReportContent, ReportImage
from kizu.report.html.histogram import Bins, bins_for
from kizu.report.html.words import Words

MOST_POINTS = 3000
"""Images that the chart of kinds shows one by one; more make a page slow."""

_NAMES: Mapping[Label, str] = {"good": "trace_good", "bad": "trace_bad", "": "trace_unlabelled"}


def charts(content: ReportContent, words: Words) -> dict[str, Figure]:
    """Every chart that the content allows, by name, ready for JSON."""
    made = {"scores": score_chart(content, words), "kinds": kind_chart(content, words)}
    counts = _counts(content)
    if counts is not None:
        made["roc"] = roc_chart(counts, content, words)
        made["pr"] = pr_chart(counts, content, words)
    if content.workload is not None:
        made["workload"] = workload_chart(content, words)
    return made


def score_chart(content: ReportContent, words: Words) -> Figure:
    """Histograms of good, bad and unlabelled images over the zones of the verdicts."""
    bins = score_bins(content)
    traces: list[Mapping[str, Any]] = []
    for label, name in _NAMES.items():
        scores = _scores(content, label)
        if len(scores):
            traces.append(_bars(bins, scores, label, words(name)))
    traces.append(_reference(bins, content, words))
    layout = zones(_limits(content, bins), {verdict: words(verdict) for verdict in ("ok", "review", "ng")})
    top = 1.15 * max(max(trace["y"]) for trace in traces)  # leaves room for the names of the zones
    axes = {
        "xaxis": axis(words("axis_score"), range=[bins.low, bins.high]),
        "yaxis": axis(words("axis_images"), range=[0, top]),
    }
    return figure(traces, {"barmode": "overlay", "bargap": 0.04, **axes, **layout})


def score_bins(content: ReportContent) -> Bins:
    """The bars of the histogram; one edge is the NG threshold."""
    calibration = content.calibration
    scores = np.array([image.score for image in content.images])
    every = np.concatenate([scores, calibration.scores, [calibration.threshold, calibration.review_threshold]])
    return bins_for(every, calibration.threshold)


def _bars(bins: Bins, scores: NDArray[np.float64], label: Label, name: str) -> Mapping[str, Any]:
    return {
        "type": "bar",
        "name": name,
        "x": bins.middles.tolist(),
        "y": bins.count(scores).tolist(),
        "width": bins.width,
        "opacity": 0.75,
        "marker": {"color": PAINT[label], "line": {"width": EDGE[label], "color": NOW}},
        "hovertemplate": "%{x:.4g}: %{y}<extra>%{fullData.name}</extra>",
    }


def _reference(bins: Bins, content: ReportContent, words: Words) -> Mapping[str, Any]:
    """The calibration scores as a line, as many as there are good images here (or images, without labels)."""
    scores = content.calibration.scores
    scale = (content.count("good") or len(content.images)) / len(scores)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": words("trace_calibration"),
        "x": bins.middles.tolist(),
        "y": (bins.count(scores) * scale).round(3).tolist(),
        "line": {"shape": "hvh", "color": NOW, "width": 1.5},
        "hoverinfo": "skip",
    }


def _limits(content: ReportContent, bins: Bins) -> dict[str, tuple[float, float]]:
    """From which score to which each verdict goes, on the chart."""
    ng, review = content.calibration.threshold, content.calibration.review_threshold
    limits = {"ok": (bins.low, review), "review": (review, ng), "ng": (ng, bins.high)}
    return {verdict: zone for verdict, zone in limits.items() if zone[1] > zone[0] or verdict == "ng"}


def roc_chart(counts: ScoreCounts, content: ReportContent, words: Words) -> Figure:
    """The ROC curve, chance, and where this model's thresholds are."""
    curve = roc_curve(counts)
    marks = [(name, *_rates(content, limit)) for name, limit in _thresholds(content, words)]
    chance = {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "showlegend": False, "hoverinfo": "skip"}
    traces = [
        {**chance, "line": {"color": "#9aa3ab", "dash": "dot", "width": 1}},
        _line(curve.fpr, curve.tpr, words("auroc")),
        *(_mark(name, x, y, words) for name, x, y, _ in marks),
    ]
    return figure(traces, {"xaxis": shares(words("axis_fpr")), "yaxis": shares(words("axis_tpr"))})


def pr_chart(counts: ScoreCounts, content: ReportContent, words: Words) -> Figure:
    """Precision over recall, and where this model's thresholds are."""
    curve = pr_curve(counts)
    marks = [(name, *_rates(content, limit)) for name, limit in _thresholds(content, words)]
    traces = [_line(curve.recall, curve.precision, words("ap"))]
    traces += [_mark(name, recall, precision, words) for name, _, recall, precision in marks if precision is not None]
    return figure(traces, {"xaxis": shares(words("axis_recall")), "yaxis": shares(words("axis_precision"))})


def _line(x: NDArray[np.float64], y: NDArray[np.float64], name: str) -> Mapping[str, Any]:
    corners = _corners(x, y)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "showlegend": False,
        "x": x[corners].round(5).tolist(),
        "y": y[corners].round(5).tolist(),
        "line": {"color": PAINT["good"], "width": 2.5},
        "hovertemplate": "%{x:.1%}, %{y:.1%}<extra></extra>",
    }


def _corners(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Points without which a line would look different: where it is not level or upright on both sides."""
    keep = np.ones(len(x), np.bool_)
    for values in (x, y):
        flat = np.diff(values) == 0
        keep[1:-1] &= ~(flat[:-1] & flat[1:])
    return keep


def _mark(name: str, x: float, y: float, words: Words) -> Mapping[str, Any]:
    shape = {"symbol": "x" if name == words("mark_ng") else "circle-open", "size": 11, "color": NOW}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [x],
        "y": [y],
        "marker": {**shape, "line": {"width": 2}},
        "hovertemplate": "%{x:.1%}, %{y:.1%}<extra>%{fullData.name}</extra>",
    }


def _thresholds(content: ReportContent, words: Words) -> list[tuple[str, float]]:
    calibration = content.calibration
    limits = [(words("mark_ng"), calibration.threshold)]
    if calibration.review_threshold < calibration.threshold:
        limits.append((words("mark_review"), calibration.review_threshold))
    return limits


def _rates(content: ReportContent, threshold: float) -> tuple[float, float, float | None]:
    """Share of the good flagged, share of the defects flagged, share of the flagged that is defective."""
    good, bad = _scores(content, "good") > threshold, _scores(content, "bad") > threshold
    flagged = good.sum() + bad.sum()
    return float(good.mean()), float(bad.mean()), float(bad.sum() / flagged) if flagged else None


def workload_chart(content: ReportContent, words: Words) -> Figure:
    """Defects that get through over parts that people look at, with its band and today's threshold."""
    curve = content.workload
    if curve is None:
        raise ValueError("no workload curve")
    x = curve.review_share
    common = {"type": "scatter", "mode": "lines", "x": x.round(5).tolist()}
    band = words("trace_band", confidence=words.share(curve.confidence))
    edge = {**common, "line": {"width": 0, "shape": "hv"}, "hoverinfo": "skip"}
    now = curve.at(content.calibration.review_threshold)
    traces: list[Mapping[str, Any]] = [
        {**edge, "y": curve.upper.round(5).tolist(), "showlegend": False},
        {**edge, "y": curve.lower.round(5).tolist(), "name": band, "fill": "tonexty"}
        | {"fillcolor": "rgba(213, 94, 0, 0.18)"},
        {**common, "y": curve.missed_share.round(5).tolist(), "name": words("trace_workload")}
        | {"line": {"color": BAD, "width": 2.5, "shape": "hv"}}
        | {"hovertemplate": "%{x:.1%} → %{y:.1%}<extra></extra>"},
        _mark(words("mark_now"), float(x[now]), float(curve.missed_share[now]), words),
    ]
    top = min(1.02, 1.15 * float(curve.upper.max()) + 0.01)
    right = min(1.0, float(x.max())) + 0.02
    axes = {"xaxis": shares(words("axis_looked"), range=[-0.01, right]), "yaxis": shares(words("axis_missed"))}
    axes["yaxis"]["range"] = [-0.02 * top, top]
    return figure(traces, axes)


def kind_chart(content: ReportContent, words: Words) -> Figure:
    """Every image as a point: its score, and its kind on a row of its own."""
    rows = {(result.label, result.kind): row for row, result in enumerate(reversed(content.kinds))}
    names = [safe(_brief(kind_name(result.label, result.kind, words))) for result in reversed(content.kinds)]
    bins = score_bins(content)
    shown = list(enumerate(content.ranked))[:: 1 + (len(content.ranked) - 1) // MOST_POINTS]
    traces = [_points([s for s in shown if s[1].label == label], rows, label, words) for label in _NAMES]
    layout = zones(_limits(content, bins), {verdict: words(verdict) for verdict in ("ok", "review", "ng")})
    ticks = {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": names}
    axes = {
        "xaxis": axis(words("axis_score"), range=[bins.low, bins.high]),
        "yaxis": axis("", **ticks, range=[-0.6, len(names) - 0.2]),
    }
    return figure([trace for trace in traces if trace["x"]], {**axes, **layout}, height=150 + 46 * len(names))


def _points(
    shown: Sequence[tuple[int, ReportImage]], rows: Mapping[tuple[Label, str], int], label: Label, words: Words
) -> dict[str, Any]:
    """Points of one label; ``customdata``: where the image is in the gallery."""
    jitter = np.random.default_rng(0).uniform(-0.28, 0.28, len(shown))
    return {
        "type": "scatter",
        "mode": "markers",
        "name": words(_NAMES[label]),
        "x": [round(image.score, 5) for _, image in shown],
        "y": [round(rows[image.label, image.kind] + up, 3) for (_, image), up in zip(shown, jitter, strict=True)],
        "text": [safe(image.name) for _, image in shown],
        "customdata": [place for place, _ in shown],
        "marker": {"color": PAINT[label], "symbol": SYMBOL[label], "size": 6, "opacity": 0.65},
        "hovertemplate": "%{text}<br>%{x:.4g}<extra></extra>",
    }


def _brief(name: str) -> str:
    """A name that leaves a chart beside it room; the table above has all of it."""
    return name if len(name) <= 32 else f"{name[:20]}…{name[-11:]}"


def kind_name(label: str, kind: str, words: Words) -> str:
    """A kind as people read it: ``good``, ``bad`` and no label in their language, others as they were given."""
    if not label:
        return words("unlabelled")
    if label == "good":
        return words("good")
    return words("any_defect") if kind in ("", "bad") else kind


def _scores(content: ReportContent, label: Label) -> NDArray[np.float64]:
    return np.array([image.score for image in content.images if image.label == label])


def _counts(content: ReportContent) -> ScoreCounts | None:
    """Scores and labels for the curves; None where one class is missing."""
    judged = [image for image in content.images if image.label]
    if not (content.count("good") and content.count("bad")):
        return None
    return count_scores([image.score for image in judged], [image.label == "bad" for image in judged])
