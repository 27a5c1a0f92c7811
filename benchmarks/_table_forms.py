"""How a row of results is written in a table: one function a table, named as the script that measures it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Cells = Mapping[str, str]
Maker = Callable[[Cells], dict[str, str] | None]
"""The cells of a table's row by heading; None: this row of results is not shown."""


def fixed(text: str, digits: int) -> str:
    """Rounded to ``digits`` behind the point; a dash where there is no figure."""
    return f"{float(text):.{digits}f}" if text else "–"


def percent(text: str) -> str:
    return f"{100 * float(text):.1f} %" if text else "–"


def signed(text: str) -> str:
    return f"{float(text):+.4f}" if text else "–"


def whole(text: str) -> str:
    return f"{round(float(text)):,}" if text else "–"


def coreset(row: Cells) -> dict[str, str] | None:
    size = f"{whole(row['picks'])} of {whole(row['rows'])} × {row['dimensions']}"
    return {
        "selection": f"{FORMS[row['form']]}, {size}",
        "time, blocks = 1": fixed(row["ratio"], 1),
        "seconds": fixed(row["seconds"], 1),
        "ms a pick": fixed(row["ms_a_pick"], 2),
        "picks shared with blocks": f"{100 * float(row['same_set']) / float(row['picks']):.2f} %",
        "in the same order": "all" if row["same_picks"] == "yes" else f"the first {whole(row['same_prefix'])}",
    }


def latency(row: Cells) -> dict[str, str] | None:
    rows = f", {whole(row['bank_rows'])} × {row['dimensions']}" if row["bank_rows"] else f", {row['dimensions']} d"
    return {
        "": CASES[row["case"]] + rows,
        "rest before": f"{float(row['pause']):g} s",
        "of the backbone's time": fixed(row["ratio_to_engine"], 1),
        "of a bare session's": fixed(row["ratio_to_bare"], 1),
        "ms": fixed(row["ms"], 1),
        "95 % within": fixed(row["ms_p95"], 1),
        "the first": fixed(row["first_ms"], 1),
        "backbone": fixed(row["embed_ms"], 1),
        "search": fixed(row["search_ms"] or row["score_ms"], 1),
        "made exact": fixed(row["confirm_ms"], 1),
        "map": fixed(row["map_ms"], 1),
    }


def startup(row: Cells) -> dict[str, str] | None:
    name, colon, stage = row["measure"].partition(": ")
    return {
        "": f"– {stage}" if colon else f"`{name}`" if "python" in name or name == "kizu --help" else name,
        "of the bare imports": fixed(row["ratio_to_imports"], 2),
        "seconds": fixed(row["seconds"], 3),
    }


def memory(row: Cells) -> dict[str, str] | None:
    return {
        "detector": DETECTORS[row["detector"]],
        "images": row["images"],
        "coreset": percent(row["coreset_ratio"]),
        "search": row["search"] or "–",
        "peak / embeddings": fixed(row["ratio"], 2),
        "peak": f"{whole(row['fit_mib'])} MiB",
        "embeddings": f"{whole(row['embeddings_mib'])} MiB",
    }


def engines(row: Cells) -> dict[str, str] | None:
    return {
        "backbone": f"`{row['backbone']}`",
        "engine": ENGINES[row["engine"]],
        "precision": row["precision"],
        "backbone's time": fixed(row["backbone_ratio"], 2),
        "ms": fixed(row["backbone_ms"], 1),
        "whole inspection's time": fixed(row["inspection_ratio"], 2),
        "image AUROC": fixed(row["image_auroc"], 4),
        "change": signed(row["image_change"]),
        "pixel AUROC": fixed(row["pixel_auroc"], 4),
        "its change": signed(row["pixel_change"]),
        "scores change by": percent(row["score_change"]),
        "at most": percent(row["score_change_max"]),
        "graph": f"{fixed(row['graph_mib'], 1)} MiB",
    }


def backbones(row: Cells) -> dict[str, str] | None:
    found = {name.removeprefix("auroc, "): figure for name, figure in row.items() if name.startswith("auroc, ")}
    return {
        "backbone": f"`{row['backbone']}`",
        "layers": f"`{row['layers'].replace(' ', ',')}`",
        "dimensions": row["dimensions"],
        "input": f"{row['image_size']}²",
        "time": fixed(row["ratio"], 1),
        "ms": fixed(row["ms"], 1),
        "graph": f"{whole(row['graph_mib'])} MiB",
        **{f"AUROC, {name.replace('_', ' ')}": fixed(figure, 3) for name, figure in found.items()},
    }


def calibration(row: Cells) -> dict[str, str] | None:
    return {
        "data": row["data"].replace("_", " "),
        "detector": DETECTORS[row["detector"]],
        "good images scored": row["scores"],
        "scores": row["images"],
        "unseen": row["unseen"],
        "mean, unseen = 1": fixed(row["mean_ratio"], 3),
        "p": f"{float(row['ks']):.2g}",
        **{f"NG at {share}": percent(row[f"alarms_{key}"]) for key, share in SHARES.items()},
    }


def coverage(row: Cells) -> dict[str, str] | None:
    cells = {"data": row["data"].replace("_", " "), "detector": DETECTORS.get(row["detector"], "–")}
    cells |= {"good images": row["images"], "divisions": whole(row["splits"])}
    return {
        **cells,
        **{f"asked {share}: promised": percent(row[f"promised_{key}"]) for key, share in SHARES.items()},
        **{f"NG at {share}, mean": percent(row[f"mean_{key}"]) for key, share in SHARES.items()},
    }


def update(row: Cells) -> dict[str, str]:
    batches = f", then updated in {row['batches']} batch{'' if row['batches'] == '1' else 'es'}"
    return {
        "data": row["data"],
        "detector": DETECTORS[row["detector"]],
        "good images": {"half": "half", "refit": "all at once", "update": f"half{batches}"}[row["form"]],
        "seconds": whole(row["seconds"]),
        "bank rows": whole(row["bank_rows"]),
        "cover radius": fixed(row["cover_radius"], 1),
        "measured cover": fixed(row["cover_measured"], 1),
        "image AUROC": fixed(row["image_auroc"], 4),
        "threshold": fixed(row["threshold"], 1),
        "false alarms": percent(row["false_alarms"]),
        "defects not NG": percent(row["missed"]),
    }


def tail(row: Cells) -> dict[str, str] | None:
    real = row["scores"].startswith("solar")
    if not real and (row["images"], row["share"]) not in (("20", "0.01"), ("100", "0.01"), ("100", "0.001")):
        return None
    return {
        "scores": row["scores"],
        "images": row["images"],
        "share": rate(row["share"]),
        "interval holds (90 %)": percent(row["holds"]),
        "true score above it": percent(row["too_low"]),
        "by moments": percent(row["moments_hold"]),
        "NG at the estimate, mean": rate(row["called_ng"]),
        "median": rate(row["called_ng_median"]),
        "NG at the highest score": rate(row["called_ng_highest"]),
    }


def drift(row: Cells) -> dict[str, str] | None:
    return {
        "scores": row["data"],
        "change": row["change"].replace("-", "−"),
        "calibration": row["calibration"],
        "stream": row["parts"],
        "rows": row["rows"],
        "rate asked": rate(row["rate"]),
        "false alarms": percent(row["false_alarms"]),
        "found": percent(row["found"]),
        "delay": fixed(row["delay"], 0),
        "date off by": fixed(row["date"], 0),
    }


def rate(text: str) -> str:
    """A share that may be small, in percent."""
    return f"{100 * float(text):.2g} %" if text else "–"


def robust(row: Cells) -> dict[str, str] | None:
    if row["seed"] != "mean":
        return None
    share = f"{100 * float(row['share']):.0f} %"
    return {
        "data": row["data"].replace("_", " "),
        "detector": DETECTORS[row["detector"]],
        "defects smuggled in": f"{share}: {whole(row['smuggled'])} in {whole(row['fit_images'])}",
        "`--robust`": row["robust"],
        "image AUROC": fixed(row["image_auroc"], 4),
        "false alarms": percent(row["false_alarms"]),
        "defects not NG": percent(row["missed"]),
        "set aside, of these": whole(row["smuggled_aside"]),
        "and good ones": whole(row["good_aside"]),
    }


def check_suspects(row: Cells) -> dict[str, str]:
    return {
        "data": row["data"].replace("_", " "),
        "draw": whole(row["seed"]),
        "good images": whole(row["good"]),
        "defects among the first 20": f"{whole(row['in_first_20'])} of {whole(row['smuggled'])}",
        "of these stand out": whole(row["stand_out"]),
        "good ones that stand out": whole(row["good_standing_out"]),
    }


def synthetic(row: Cells) -> dict[str, str] | None:
    if (row["strength"], row["size"]) != ("1", "1"):
        return None
    return {
        "data": row["data"],
        "configuration": row["configuration"].replace("patchcore", "PatchCore").replace("padim", "PaDiM"),
        "AUROC, real defects": fixed(row["auroc, real"], 3),
        "synthetic ones": fixed(row["auroc, synthetic"], 3),
    }


def synthetic_ranks(row: Cells) -> dict[str, str] | None:
    usual = (row["strength"], row["size"]) == ("1", "1")
    if row["kind"] != "synthetic" and not usual:
        return None
    return {
        "data": row["data"],
        "strength": row["strength"],
        "size": row["size"],
        "kinds": "all" if row["kind"] == "synthetic" else f"`{row['kind']}`",
        "configurations": row["configurations"],
        "mean AUROC": fixed(row["auroc_synthetic"], 3),
        "rank correlation": fixed(row["spearman"], 2),
        "given up": fixed(row["given_up"], 3),
        "of a range of": fixed(row["range"], 3),
    }


TABLES: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (
        coreset,
        latency,
        startup,
        memory,
        engines,
        backbones,
        calibration,
        coverage,
        robust,
        check_suspects,
        synthetic,
        synthetic_ranks,
        update,
        tail,
        drift,
    )
}
ENGINES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
DETECTORS = {"patchcore": "PatchCore", "padim": "PaDiM", "ensemble": "Ensemble"}
FORMS = {
    "blocks": "certified blocks",
    "blocks, all pairs": "blocks, every pair compared",
    "sequential": "sequential, float32",
    "sequential, exact": "sequential, ties settled in float64",
}
CASES = {
    "bank": "PatchCore, large bank",
    "bank exact": "the same, exact search",
    "default": "PatchCore, defaults",
    "padim": "PaDiM, defaults",
}
SHARES = {"0.01": "1 %", "0.05": "5 %", "0.2": "20 %"}
