"""Looks and images for the tests of checks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kizu.checks import Look
from kizu.checks.looks import MaskLook
from kizu.datasets import Sample
from workflows.tiles import tile


def a_look(name: str, split: Any = "train", label: Any = "good", **given: Any) -> Look:
    """A look at nothing in particular; what matters is given. Each name has pixels of its own."""
    mask = given.pop("mask", None)
    kind = given.pop("kind", label or "")
    sample = Sample(Path(name), split, label, kind, Path(f"{name}_mask.png") if mask else None)
    usual: dict[str, Any] = {
        "format": "PNG",
        "bits": 8,
        "size": (300, 300),
        "grey": True,
        "digest": name.encode(),
        "reach": 0.9,
        "thumbnail": np.zeros((128, 128), np.uint8),
        "brightness": 120.0,
        "black": 0.0,
        "white": 0.0,
        "detail": 1.0,
        "noise": 1.0,
        "more_pages": False,
        "mask": mask,
    }
    return Look(sample, **{**usual, **given})


def a_mask(**given: Any) -> MaskLook:
    """A mask as it should be, but for what is given."""
    return MaskLook(**{"size": (300, 300), "marked": 0.1, **given})


def part(seed: int) -> np.ndarray:
    """A tile, ``(96, 96)`` grey: the weave all share, and grain of its own."""
    return tile(seed)[..., 0]


def copies() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What becomes of a photograph that is saved again, by name."""
    import cv2

    def jpeg(quality: int) -> Callable[[np.ndarray], np.ndarray]:
        def save(image: np.ndarray) -> np.ndarray:
            data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))

        return save

    def zoomed(image: np.ndarray) -> np.ndarray:
        height, width = image.shape
        matrix = np.array([[1.02, 0, -0.01 * width], [0, 1.02, -0.01 * height]])
        return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)

    return {
        "jpeg 95": jpeg(95),
        "jpeg 75": jpeg(75),
        "brighter": lambda image: (image * 1.05).clip(0, 255).astype(np.uint8),
        "darker": lambda image: (image * 0.95).astype(np.uint8),
        "cut": lambda image: image[1:, :-1],
        "nearer": zoomed,
        "larger": lambda image: cv2.resize(image, None, fx=1.5, fy=1.5),
    }
