"""The fitted whole: image → prediction, and the file it is kept in."""

from kizu.inspector._inspector import Inspector
from kizu.inspector._prediction import Prediction

__all__ = ["Inspector", "Prediction"]
