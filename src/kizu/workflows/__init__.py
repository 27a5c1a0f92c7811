"""What a face calls: one function each."""

from kizu.workflows._area import draw_area
from kizu.workflows._auto import Choice, choose_preset
from kizu.workflows._backbones import (
    BackboneState,
    add_backbone,
    cache_folder,
    describe_backbone,
    list_backbones,
    pull_backbone,
)
from kizu.workflows._check import DataCheck, check
from kizu.workflows._compare import compare
from kizu.workflows._comparison import SURE, ComparedModel, Comparison, Pair
from kizu.workflows._demo import Demo, demo
from kizu.workflows._drift import DriftFound, find_drift
from kizu.workflows._drift_plot import draw_drift
from kizu.workflows._evaluate import Evaluation, evaluate
from kizu.workflows._export import Export, export
from kizu.workflows._fetch_data import FetchedData, fetch_data, list_data
from kizu.workflows._fit import fit
from kizu.workflows._history import Restored, Version, history, restore, steps_of, undo
from kizu.workflows._predict import Predictions, load, look, predict
from kizu.workflows._report import Report, make_report
from kizu.workflows._report_target import ReportTarget
from kizu.workflows._synthesise import Synthesised, synthesise
from kizu.workflows._threshold import Decided, decide
from kizu.workflows._update import Update, update

__all__ = [
    "SURE",
    "BackboneState",
    "Choice",
    "ComparedModel",
    "Comparison",
    "DataCheck",
    "Decided",
    "Demo",
    "DriftFound",
    "Evaluation",
    "Export",
    "FetchedData",
    "Pair",
    "Predictions",
    "Report",
    "ReportTarget",
    "Restored",
    "Synthesised",
    "Update",
    "Version",
    "add_backbone",
    "cache_folder",
    "check",
    "choose_preset",
    "compare",
    "decide",
    "demo",
    "describe_backbone",
    "draw_area",
    "draw_drift",
    "evaluate",
    "export",
    "fetch_data",
    "find_drift",
    "fit",
    "history",
    "list_backbones",
    "list_data",
    "load",
    "look",
    "make_report",
    "predict",
    "pull_backbone",
    "restore",
    "steps_of",
    "synthesise",
    "undo",
    "update",
]
