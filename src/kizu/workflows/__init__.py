"""What a face calls: one function each, loaded when it is first used, as one command needs few of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kizu._late import loader

if TYPE_CHECKING:
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
    from kizu.workflows._drift_plot import check_plot, draw_drift
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
    "check_plot",
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

_HOMES = {
    "draw_area": "kizu.workflows._area",
    "Choice": "kizu.workflows._auto",
    "choose_preset": "kizu.workflows._auto",
    "BackboneState": "kizu.workflows._backbones",
    "add_backbone": "kizu.workflows._backbones",
    "cache_folder": "kizu.workflows._backbones",
    "describe_backbone": "kizu.workflows._backbones",
    "list_backbones": "kizu.workflows._backbones",
    "pull_backbone": "kizu.workflows._backbones",
    "DataCheck": "kizu.workflows._check",
    "check": "kizu.workflows._check",
    "compare": "kizu.workflows._compare",
    "ComparedModel": "kizu.workflows._comparison",
    "Comparison": "kizu.workflows._comparison",
    "Pair": "kizu.workflows._comparison",
    "SURE": "kizu.workflows._comparison",
    "Demo": "kizu.workflows._demo",
    "demo": "kizu.workflows._demo",
    "DriftFound": "kizu.workflows._drift",
    "find_drift": "kizu.workflows._drift",
    "check_plot": "kizu.workflows._drift_plot",
    "draw_drift": "kizu.workflows._drift_plot",
    "Evaluation": "kizu.workflows._evaluate",
    "evaluate": "kizu.workflows._evaluate",
    "Export": "kizu.workflows._export",
    "export": "kizu.workflows._export",
    "FetchedData": "kizu.workflows._fetch_data",
    "fetch_data": "kizu.workflows._fetch_data",
    "list_data": "kizu.workflows._fetch_data",
    "fit": "kizu.workflows._fit",
    "Restored": "kizu.workflows._history",
    "Version": "kizu.workflows._history",
    "history": "kizu.workflows._history",
    "restore": "kizu.workflows._history",
    "steps_of": "kizu.workflows._history",
    "undo": "kizu.workflows._history",
    "Predictions": "kizu.workflows._predict",
    "load": "kizu.workflows._predict",
    "look": "kizu.workflows._predict",
    "predict": "kizu.workflows._predict",
    "Report": "kizu.workflows._report",
    "make_report": "kizu.workflows._report",
    "ReportTarget": "kizu.workflows._report_target",
    "Synthesised": "kizu.workflows._synthesise",
    "synthesise": "kizu.workflows._synthesise",
    "Decided": "kizu.workflows._threshold",
    "decide": "kizu.workflows._threshold",
    "Update": "kizu.workflows._update",
    "update": "kizu.workflows._update",
}
__getattr__ = loader(__name__, _HOMES)
