"""What a model was made from: enough to make it again, nothing that differs between two equal fits."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

from kizu._version import __version__
from kizu.config import Config
from kizu.datasets import Dataset
from kizu.workflows._resolve import backbone_of

PACKAGES = ("numpy", "onnx", "onnxruntime", "faiss-cpu", "opencv-python-headless")


def provenance(
    config: Config, dataset: Dataset, *, fitted: int, held_out: int, skipped: int, fingerprint: str
) -> dict[str, Any]:
    """Versions, seed, backbone and data, ready for JSON."""
    card = backbone_of(config).card
    return {
        "versions": {"kizu": __version__, "python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "seed": config.seed,
        "backbone": {"name": card.name, "licence": card.licence, "weights": card.weights, "sha256": card.sha256},
        "data": {
            "product": dataset.product,
            "layout": dataset.layout,
            "fitted": fitted,
            "held_out": held_out,
            "skipped": skipped,
            "fingerprint": fingerprint,
        },
    }
