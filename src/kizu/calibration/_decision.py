"""How thresholds come from calibration scores: the part of a calibration that a person decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from kizu.arguments import finite_number, number
from kizu.errors import bad_parameter

By = Literal["false_alarms", "tail", "f1", "recall", "cost", "value"]


@dataclass(frozen=True)
class Decision:
    """What a threshold is chosen by.

    ``false_alarms``: the share of good parts that may be called NG. ``review_budget``: the further share of them that
    a person may be asked to look at; 0: no third verdict. ``by``: what the NG threshold follows from: with
    ``false_alarms`` from the calibration scores, with anything else it is ``threshold``, and ``evidence`` (plain JSON
    values) tells what that rests on.

    Raises `ParameterError` for a share out of range, or a threshold that is missing or not wanted.
    """

    by: By = "false_alarms"
    false_alarms: float = 0.01
    review_budget: float = 0.05
    threshold: float | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.by not in get_args(By):
            raise bad_parameter("by", f"one of {', '.join(get_args(By))}", self.by)
        for name in ("false_alarms", "review_budget"):
            hint = "For one percent write 0.01."
            share = number(name, getattr(self, name), "in [0, 1)", hint)
            if not 0 <= share < 1:
                raise bad_parameter(name, "in [0, 1)", share, hint)
            object.__setattr__(self, name, share)
        if (self.by == "false_alarms") != (self.threshold is None):
            expected = "null" if self.by == "false_alarms" else "a number"
            raise bad_parameter("threshold", f"{expected} for a decision by {self.by}", self.threshold)
        if self.threshold is not None:
            object.__setattr__(self, "threshold", finite_number("threshold", self.threshold))

    def to_dict(self) -> dict[str, Any]:
        """As a model file holds it."""
        return {
            "by": self.by,
            "false_alarms": self.false_alarms,
            "review_budget": self.review_budget,
            "threshold": self.threshold,
            "evidence": dict(self.evidence),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Decision:
        """Raises `ParameterError`, ``KeyError``, ``TypeError`` or ``ValueError`` for what `to_dict` did not write."""
        threshold = document["threshold"]
        return cls(
            by=document["by"],
            false_alarms=float(document["false_alarms"]),
            review_budget=float(document["review_budget"]),
            threshold=None if threshold is None else float(threshold),
            evidence=dict(document["evidence"]),
        )
