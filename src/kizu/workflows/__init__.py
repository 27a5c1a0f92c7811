"""What a face calls: one function each."""

from kizu.workflows._backbones import (
    BackboneState,
    add_backbone,
    cache_folder,
    describe_backbone,
    list_backbones,
    pull_backbone,
)
from kizu.workflows._demo import Demo, demo
from kizu.workflows._evaluate import Evaluation, evaluate
from kizu.workflows._export import Export, export
from kizu.workflows._fit import fit
from kizu.workflows._predict import Predictions, load, look, predict

__all__ = [
    "BackboneState",
    "Demo",
    "Evaluation",
    "Export",
    "Predictions",
    "add_backbone",
    "cache_folder",
    "demo",
    "describe_backbone",
    "evaluate",
    "export",
    "fit",
    "list_backbones",
    "load",
    "look",
    "predict",
    "pull_backbone",
]
