"""The fitted whole: image → prediction, the file it is kept in, and the versions of that file."""

from kizu.inspector._frame import Frame
from kizu.inspector._inspector import Inspector
from kizu.inspector._model_file import check_target, identity
from kizu.inspector._prediction import Prediction

__all__ = ["Frame", "Inspector", "Prediction", "check_target", "identity"]
