"""The fitted whole: image → prediction, the file it is kept in, and the versions of that file."""

from kizu.inspector._inspector import Inspector
from kizu.inspector._model_file import identity
from kizu.inspector._prediction import Prediction

__all__ = ["Inspector", "Prediction", "identity"]
