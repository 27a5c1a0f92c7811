"""How a row is written in the tables of peers, of speed and of memory by size."""

from __future__ import annotations

from _table_forms import CASES, Cells, Maker, fixed, percent, whole


def peers(row: Cells) -> dict[str, str]:
    return {
        "data": row["data"].replace("_", " "),
        "peer": row["peer"],
        "weights": row["weights"],
        "fit": measured(row["fit_seconds"], 1, "s"),
        "kizu's = 1": times(row["fit_ratio"]),
        "thresholds left out": times(row["unthresholded_ratio"]),
        "features": measured(row["features_seconds"], 1, "s"),
        "picks made": f"{whole(row['picks'])} of {whole(row['picks_wanted'])}" if row["picks"] else "–",
        "ms a pick": fixed(row["ms_a_pick"], 1),
        "in the first half": fixed(row["ms_a_pick_first_half"], 1),
        "whole fit, *extrapolated*": measured(row["fit_seconds_extrapolated"], 0, "s"),
        "kizu's = 1, *extrapolated*": times(row["fit_ratio_extrapolated"]),
        "thresholds left out, *extrapolated*": times(row["unthresholded_ratio_extrapolated"]),
        "an image": measured(row["ms"], 1, "ms"),
        "kizu's image = 1": times(row["ms_ratio"]),
        "95 % within": measured(row["ms_p95"], 1, "ms"),
        "bank filled up": measured(row["ms_filled_bank"], 1, "ms"),
    }


SUMMARY = {
    "kizu same settings": "**kizu**",
    "patchcore-inspection": "patchcore-inspection's procedure",
    "scikit-learn brute": "scikit-learn, random rows, brute force",
    "scikit-learn brute all patches": "scikit-learn, all patches, brute force",
    "anomalib PatchCore": "anomalib 2.7, same network and layers",
    "anomalib PatchCore as it comes": "anomalib 2.7 as it comes: Wide ResNet-50, random weights",
}
"""The peers that the README names, and how."""


def peers_summary(row: Cells) -> dict[str, str] | None:
    """With all picks and a full bank: multiplied out where they were not all made."""
    if row["peer"] not in SUMMARY:
        return None
    whole_fit = row["fit_seconds_extrapolated"]
    about = "≈ " if whole_fit else ""
    return {
        "PatchCore, a tenth of the patches": SUMMARY[row["peer"]],
        "of kizu's fit": about + times(row["fit_ratio_extrapolated"] or row["fit_ratio"]),
        "the threshold left out": about
        + times(row["unthresholded_ratio_extrapolated"] or row["unthresholded_ratio"]),
        "fit": about + measured(whole_fit or row["fit_seconds"], 0, "s"),
        "of kizu's image": times(row["ms_ratio_filled_bank"] or row["ms_ratio"]),
        "an image": measured(row["ms_filled_bank"] or row["ms"], 0, "ms"),
    }


def peers_quality(row: Cells) -> dict[str, str]:
    return {
        "data": row["data"].replace("_", " "),
        "peer": row["peer"],
        "weights": row["weights"],
        "image AUROC": fixed(row["image_auroc"], 3),
        "pixel AUROC": fixed(row["pixel_auroc"], 3),
        "PRO": fixed(row["pixel_aupro"], 3),
        "of images": row["test_images"],
        "bank rows": whole(row["bank_rows"]),
        "peak memory": measured(row["peak_mib"], 0, "MiB"),
        "libraries alone": measured(row["loaded_mib"], 0, "MiB"),
        "model": measured(row["model_mib"], 1, "MiB"),
        "stands on": row["library"],
    }


def features(row: Cells) -> dict[str, str]:
    return {
        "data": row["data"].replace("_", " "),
        "layers": f"`{row['layers'].replace(' ', ',')}`",
        "of decoding and backbone": fixed(row["ratio"], 2),
        "an image": measured(row["ms_an_image"], 1, "ms"),
        "decoding alone": measured(row["decoding_ms"], 1, "ms"),
        "backbone alone": measured(row["backbone_ms"], 1, "ms"),
    }


def scaling(row: Cells) -> dict[str, str]:
    unit = {"images": "images", "image size": "px", "bank": "rows"}[row["sweep"]]
    return {
        "detector": row["detector"].replace("patchcore", "PatchCore").replace("padim", "PaDiM"),
        "size": f"{whole(row['size'])} {unit}",
        "patches": whole(row["patches"]),
        "bank": whole(row["bank_rows"]),
        "fit": measured(row["fit_seconds"], 1, "s"),
        "features": measured(row["features_seconds"], 1, "s"),
        "selection": measured(row["selection_seconds"], 1, "s"),
        "leaving out": measured(row["calibration_seconds"], 1, "s"),
        "an image": measured(row["ms"], 1, "ms"),
        "95 % within": measured(row["ms_p95"], 1, "ms"),
        "memory of the fit": f"{whole(row['fit_mib'])} MiB",
        "model": f"{whole(row['model_mib'])} MiB",
    }


def scaling_exponents(row: Cells) -> dict[str, str]:
    interval = f"{fixed(row['low'], 2)} to {fixed(row['high'], 2)}" if row["low"] else "–"
    return {
        "of": MEASURES[row["measure"]],
        "with": row["sweep"].replace("images", "number of images").replace("bank", "rows of the bank"),
        "detector": row["detector"].replace("patchcore", "PatchCore").replace("padim", "PaDiM"),
        "exponent": fixed(row["exponent"], 2),
        "95 % interval": interval,
        "from": whole(row["smallest"]),
        "to": whole(row["largest"]),
        "points": row["points"],
    }


def roofline(row: Cells) -> dict[str, str]:
    return {
        "stage": row["stage"],
        "size": row["size"],
        "of the ceiling": percent(row["share"]),
        "bound by": row["bound"],
        "measured": measured(row["ms"], 2, "ms"),
        "least": measured(row["least_ms"], 2, "ms"),
        "GFLOP": fixed(row["gflop"], 3),
        "MB": fixed(row["mb"], 1),
        "FLOP a byte": fixed(row["flops_a_byte"], 1),
        "GFLOP/s": fixed(row["gflop_a_second"], 1),
        "of": fixed(row["ceiling_gflop_a_second"], 0),
        "GB/s": fixed(row["gb_a_second"], 1),
        "of ": fixed(row["ceiling_gb_a_second"], 1),
    }


def throughput(row: Cells) -> dict[str, str]:
    return {
        "model": CASES[row["case"]],
        "files": row["files"],
        "reading and backbone, of the ceiling": percent(row["embedding_share"]),
        "of both cores": percent(row["embedding_share_of_shared"]),
        "`predict`, of the ceiling": percent(row["predict_share"]),
        "`predict`, of both cores": percent(row["predict_share_of_shared"]),
        "side by side, one by one = 1": times(row["predict_gain"]),
        "images a second": whole(row["predict_per_s"]),
        "decoding alone": whole(row["decoding_per_s"]),
        "backbone alone": whole(row["ceiling"]),
    }


def products(row: Cells) -> dict[str, str]:
    return {
        "models": f"{row['products']} × {CASES[row['case']]}",
        "files": "mapped" if row["mapped"] == "yes" else "read",
        "resident": measured(row["resident_mib"], 0, "MiB"),
        "the process's own": measured(row["own_mib"], 0, "MiB"),
        "model files": measured(row["files_mib"], 0, "MiB"),
        "backbones": row["engines"],
        "loading one": measured(row["load_s"], 2, "s"),
        "an image": measured(row["ms"], 1, "ms"),
    }


def streaming(row: Cells) -> dict[str, str]:
    return {
        "images": whole(row["images"]),
        "limit": row["memory"],
        "of the limit": percent(row["peak_share"]),
        "peak": measured(row["peak_mib"], 0, "MiB"),
        "embeddings": measured(row["embeddings_mib"], 0, "MiB"),
        "fit": measured(row["seconds"], 0, "s"),
        "an image": measured(row["ms_an_image"], 1, "ms"),
        "bank": f"{whole(row['bank_rows'])} × {row['dimensions']}",
        "cover radius told": fixed(row["cover_radius"], 1),
        "reached": fixed(row["reached"], 1),
    }


def measured(text: str, digits: int, unit: str) -> str:
    """A figure with its unit; a dash where there is none."""
    return f"{float(text):,.{digits}f} {unit}" if text else "–"


def times(text: str) -> str:
    """A ratio: two digits below ten, none from there."""
    if not text:
        return "–"
    return fixed(text, 2) if float(text) < 10 else whole(text)


MEASURES = {
    "fit_seconds": "fit",
    "features_seconds": "reading and features",
    "selection_seconds": "selection",
    "calibration_seconds": "leaving each image out",
    "ms": "an image",
    "fit_mib": "memory of the fit",
    "model_mib": "model",
}
TABLES: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (
        peers,
        peers_summary,
        peers_quality,
        features,
        scaling,
        scaling_exponents,
        roofline,
        throughput,
        products,
        streaming,
    )
}
SOURCES = {"peers_summary": "peers"}
"""Whose results a table is made of, where that is not the table of its own name."""
