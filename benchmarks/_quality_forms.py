"""How a row of results is written in the tables of quality; all of them are made of what ``quality.py`` measures."""

from __future__ import annotations

from _speed_forms import measured
from _table_forms import DETECTORS, Cells, Maker, fixed, percent, whole
from kizu.config import parse
from kizu.workflows._resolve import resolve

DEFAULTS = {"backbone": "efficientnet_lite0", "image_size": "256"}
"""Of detectors with nothing else said."""

NAMES = {"lite-fast": "`--preset lite-fast`", "lite": "the default: PatchCore", "accurate": "`--preset accurate`"}
"""Presets that the README names, and how."""


def quality(row: Cells) -> dict[str, str] | None:
    name = NAMES.get(row["preset"], "") if _of_its_own_size(row) else ""
    if row["detector"] == "padim" and not row["preset"] and row.items() >= DEFAULTS.items():
        name = "`--detector padim`"
    if not name or not _is_shown(row):
        return None
    return {
        "data": row["data"],
        "": name,
        "image AUROC": fixed(row["image_auroc"], 3),
        "image F1": fixed(row["image_f1_max"], 3),
        "pixel AUROC": fixed(row["pixel_auroc"], 3),
        "PRO": fixed(row["pixel_aupro"], 3),
        "false alarms": percent(row["false_alarms"]),
        "defects not NG": percent(row["missed"]),
        "fit": f"{whole(row['fit_seconds'])} s",
        "an image": f"{fixed(row['ms_an_image'], 1)} ms",
        "model": f"{whole(row['model_mib'])} MiB",
    }


def quality_presets(row: Cells) -> dict[str, str] | None:
    if not _is_shown(row) or not row["preset"]:
        return None
    return {"data": row["data"], "preset": f"`{row['preset']}`", **_figures(row)}


def quality_backbones(row: Cells) -> dict[str, str] | None:
    if not _is_shown(row) or row["preset"]:
        return None
    detector = DETECTORS.get(row["detector"], row["detector"])
    return {"data": row["data"], "detector": detector, "backbone": f"`{row['backbone']}`", **_figures(row)}


def _of_its_own_size(row: Cells) -> bool:
    """A preset may be measured at others (``--image-size``)."""
    return bool(row["preset"]) and int(row["image_size"]) == resolve(parse({"preset": row["preset"]})).image_size


def _is_shown(row: Cells) -> bool:
    return row["seed"] == "mean" and not row["limit"]


def _figures(row: Cells) -> dict[str, str]:
    return {
        "input": f"{row['image_size']}²",
        "image AUROC": fixed(row["image_auroc"], 3),
        "AP": fixed(row["image_ap"], 3),
        "F1": fixed(row["image_f1_max"], 3),
        "pixel AUROC": fixed(row["pixel_auroc"], 3),
        "pixel AP": fixed(row["pixel_ap"], 3),
        "PRO": fixed(row["pixel_aupro"], 3),
        "fit": measured(row["fit_seconds"], 1, "s"),
        "an image": measured(row["ms_an_image"], 1, "ms"),
        "95 % within": measured(row["ms_p95"], 1, "ms"),
        "peak memory": measured(row["peak_mib"], 0, "MiB"),
        "libraries alone": measured(row["loaded_mib"], 0, "MiB"),
        "model": measured(row["model_mib"], 1, "MiB"),
        "seeds": row["seeds"],
    }


TABLES: dict[str, Maker] = {maker.__name__: maker for maker in (quality, quality_presets, quality_backbones)}
SOURCES = dict.fromkeys(TABLES, "quality")
"""Whose results a table is made of, where that is not the table of its own name."""
