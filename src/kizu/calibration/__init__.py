"""From scores of good images the detector was not fitted on to thresholds and verdicts."""

from kizu.calibration._calibration import VERDICTS, Calibration, Method, Verdict
from kizu.calibration._decision import By, Decision

__all__ = ["VERDICTS", "By", "Calibration", "Decision", "Method", "Verdict"]
