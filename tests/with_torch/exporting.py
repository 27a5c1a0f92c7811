"""What the tests of exported networks share: images, weights, and running a backbone's graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

# Runs a script in which PyTorch and what comes with it cannot be imported.
WITHOUT_TORCH = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "timm", "onnxscript"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
"""


def pictures(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def floats(images: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Normalised by hand."""
    scaled = (images / 255 - np.array(mean)) / np.array(std)
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32))


def lively(network: Any) -> Any:
    """The network with weights such that every part of it shows in its maps."""
    torch.manual_seed(1)
    for name, value in network.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(0, 0.2)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif name.endswith((".bias", "gamma", "layer_scale", "cls_token", "class_token", "pos_embed")):
            value.normal_(0, 0.1)
    return network.eval()


def saved(network: Any, path: Path) -> Path:
    torch.save(network.state_dict(), path)
    return path


def built(backbone: Any, layers: Sequence[str], images: np.ndarray) -> list[np.ndarray]:
    """The maps of a backbone's graph."""
    return run(backbone.build(layers, images.shape[1]), layers, images)


def run(graph: bytes, layers: Sequence[str], images: np.ndarray) -> list[np.ndarray]:
    """The maps that a graph gives."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return list(session.run(list(layers), {"images": images}))


def same(found: Sequence[np.ndarray], expected: Sequence[torch.Tensor]) -> None:
    """Equal within a ten-thousandth of each map's range."""
    for ours, theirs in zip(found, expected, strict=True):
        own = theirs.detach().numpy()
        assert ours.shape == own.shape
        np.testing.assert_allclose(ours, own, rtol=0, atol=1e-4 * np.ptp(own))
