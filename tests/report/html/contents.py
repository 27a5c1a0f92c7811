"""Contents for the tests of reports: drawn images with figures of their own, in every kind there is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from kizu.calibration import Calibration, Decision
from kizu.calibration.workload import workload
from kizu.metrics import PixelAccumulator, image_metrics
from kizu.regions import find_regions
from kizu.report import View
from kizu.report.html import FoundRegion, ReportContent, ReportImage, Thumbnails, thumbnails
from kizu.wording import Wording
from report.viewing import blob

EVIL = '<script>document.title="broken"</script>"\'&`\u2028<img src=x onerror=alert(1)>.png'
"""A name a file may have on Linux, and that must never be anything but text."""

SCORES = np.linspace(10.0, 30.0, 200)


@dataclass(frozen=True)
class Found:
    """A finding as the data check has them."""

    kind: str
    severity: str
    paths: tuple[Path, ...]
    wording: Wording
    advice: str


def told(text: str) -> Wording:
    """A text that nobody has translated."""
    return Wording("as_told", {"detail": text})


def calibration(**decision: Any) -> Calibration:
    """200 scores from 10 to 30; NG above 29.9, for a person above 28.8 unless ``decision`` says otherwise."""
    return Calibration(SCORES, SCORES, Decision(**decision))


def small(score: float = 31.0, size: tuple[int, int] = (60, 80), *, marked: bool = True) -> Thumbnails:
    """Pictures of a noisy image, of which more is found the higher the score."""
    noise = np.random.default_rng(int(score * 10)).integers(90, 160, (*size, 3)).astype(np.uint8)
    truth = np.zeros(size, np.bool_)
    truth[10:20, 10:30] = marked
    view = View(noise, blob((32, 32), 5.0, score), score, 29.9, 29.9, "ng" if score > 29.9 else "ok", truth=truth)
    return thumbnails(view, 20_000)


def image(name: str, score: float, label: str = "good", kind: str | None = None, **changes: Any) -> ReportImage:
    """One image as an inspector with that `calibration` sees it."""
    limits = calibration()
    regions = find_regions(blob((60, 80), 5.0, score), limits.pixel_threshold)
    fields: dict[str, Any] = {
        "name": name,
        "path": f"/data/{name}",
        "label": label,
        "kind": kind if kind is not None else label,
        "score": score,
        "p_value": limits.p_value(score),
        "verdict": limits.verdict(score),
        "size": (60, 80),
        "milliseconds": 12.5,
        "thumbnails": small(score),
        "regions": tuple(FoundRegion.of(region, (60, 80)) for region in regions),
    }
    return ReportImage(**{**fields, **changes})


def labelled() -> tuple[ReportImage, ...]:
    """30 good parts, one of them a false alarm; 10 defects of two kinds, of which one is missed and one reviewed."""
    good = [image(f"test/good/良品{n:02}.png", 10.0 + 0.5 * n) for n in range(29)]
    bad = [image(f"test/傷/{n}.png", 31.0 + n, "bad", "傷") for n in range(7)]
    return (
        *good,
        image("test/good/loud.png", 33.0),
        *bad,
        image("test/crack/missed.png", 12.0, "bad", "crack"),
        image("test/crack/unsure.png", 29.0, "bad", "crack"),
        image(f"test/crack/{EVIL}", 40.0, "bad", "crack"),
    )


def content(images: tuple[ReportImage, ...] | None = None, **changes: Any) -> ReportContent:
    """A whole report's content; ``changes`` are fields of it."""
    shown = labelled() if images is None else images
    limits = changes.get("calibration", calibration())
    scores, bad = [i.score for i in shown if i.label], [i.label == "bad" for i in shown if i.label]
    pixels = PixelAccumulator()
    pixels.update(blob((16, 16), 1.0, 40.0), blob((16, 16), 0.0, 1.0) > 0.5)
    fields: dict[str, Any] = {
        "product": "部品",
        "model": "部品.kizu",
        "data": "/data",
        "created": datetime(2026, 3, 4, 5, 6, tzinfo=timezone.utc),
        "version": "1.2.3",
        "calibration": limits,
        "images": shown,
        "image_metrics": image_metrics(scores, bad, limits.threshold) if scores else None,
        "pixel_metrics": pixels.result(29.9) if any(bad) else None,
        "workload": workload(scores, bad, limits.threshold) if any(bad) and not all(bad) else None,
        "provenance": {"model": {"file": "部品.kizu"}, "data": {"fitted": 200, "none": None, "list": [1, 2.5]}},
    }
    return ReportContent(**{**fields, **changes})
