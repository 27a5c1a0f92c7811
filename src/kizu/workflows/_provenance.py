"""What a model was made from: enough to make it again, nothing that differs between two equal fits."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from kizu._version import __version__
from kizu.backbones import BackboneCard
from kizu.config import Config
from kizu.datasets import Dataset

PACKAGES = ("numpy", "onnx", "onnxruntime", "faiss-cpu", "opencv-python-headless")


def provenance(
    config: Config,
    card: BackboneCard,
    dataset: Dataset,
    *,
    fitted: int,
    held_out: int,
    skipped: int,
    fingerprint: str,
    images: Sequence[str] = (),
    set_aside: Sequence[str] = (),
    int8_error: float | None = None,
) -> dict[str, Any]:
    """Versions, seed, backbone and data, ready for JSON. ``card`` is that of the weights really used.

    ``images`` are digests of all that was read, by which an update knows images that the model has seen.
    """
    packages = (*PACKAGES, "openvino") if config.engine == "openvino" else PACKAGES
    aside = {"set_aside": list(set_aside)} if set_aside else {}
    quantised = {} if int8_error is None else {"int8_error": int8_error}
    return {
        "versions": {"kizu": __version__, "python": platform.python_version()} | {p: version(p) for p in packages},
        "preset": config.preset,
        "seed": config.seed,
        "backbone": {"name": card.name, "licence": card.licence, "weights": card.weights, "sha256": card.sha256}
        | quantised,
        "data": {
            "product": dataset.product,
            "layout": dataset.layout,
            "fitted": fitted,
            "held_out": held_out,
            "skipped": skipped,
            "fingerprint": fingerprint,
        }
        | aside,
        "images": list(images),
    }
