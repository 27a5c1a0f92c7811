"""What a face calls: one function each."""

from kizu.workflows._demo import Demo, demo
from kizu.workflows._evaluate import Evaluation, evaluate
from kizu.workflows._fit import fit
from kizu.workflows._predict import Predictions, load, predict

__all__ = ["Demo", "Evaluation", "Predictions", "demo", "evaluate", "fit", "load", "predict"]
