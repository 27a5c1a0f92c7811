"""What a check of a data set comes to: findings, and good images that look least like the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kizu.datasets import Sample
from kizu.wording import Wording

Severity = Literal["problem", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("problem", "warning", "note")
"""Worst first. A problem makes results wrong; a warning may; a note is good to know."""


@dataclass(frozen=True)
class Finding:
    """One thing found: its kind (a name for programs), the files it is about, what was found and what to do."""

    kind: str
    severity: Severity
    paths: tuple[Path, ...]
    wording: Wording
    advice: str

    @property
    def message(self) -> str:
        """What was found, in English."""
        return str(self.wording)

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, ready for JSON."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "paths": [str(path) for path in self.paths],
            "message": self.message,
            "advice": self.advice,
        }


@dataclass(frozen=True)
class Suspect:
    """A good image that may hide a defect.

    ``score`` is what it would score had it not been fitted on; ``times`` that score by the median of all good images;
    ``rank`` starts at 1, the least ordinary; ``p_value``: the share of the good images that look as odd, itself among
    them, which is the conformal p-value that the others give it. ``distance``: how many robust deviations its
    logarithm lies above the median. ``beyond``: whether that is more than good images show
    (`kizu.checks.outliers`). ``picture``: the file of its picture, if any.
    """

    path: Path
    score: float
    rank: int
    p_value: float
    times: float
    distance: float
    beyond: bool
    picture: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, ready for JSON."""
        return {
            **{name: getattr(self, name) for name in ("score", "rank", "p_value", "times", "distance", "beyond")},
            "path": str(self.path),
            "picture": None if self.picture is None else str(self.picture),
        }


def places(samples: Iterable[Sample]) -> tuple[str, ...]:
    """Where samples stand in their data set, each place once: ``train/good``."""
    return tuple(dict.fromkeys(f"{sample.split}/{sample.defect_type or 'unlabelled'}" for sample in samples))
