"""From scores of good images the detector was not fitted on to thresholds and verdicts."""

from kizu.calibration._calibration import Calibration, Verdict

__all__ = ["Calibration", "Verdict"]
