"""Detectors: what is learnt from the embeddings of good images. One file a method."""

from kizu.detectors._base import Detector, LeavesOneOut, Scores, checked_scores, finite
from kizu.detectors._registry import build, detector_class, names, register, restore
from kizu.detectors._robust import standing_out

__all__ = [
    "Detector",
    "LeavesOneOut",
    "Scores",
    "build",
    "checked_scores",
    "detector_class",
    "finite",
    "names",
    "register",
    "restore",
    "standing_out",
]
