"""Writes resnet.npz: what torchvision's ResNets compute, for tests/backbones/test_resnet.py to compare with.

Not part of the test run. To make the file anew, in an environment of its own::

    pip install torch torchvision
    python tests/golden/make_resnet_golden.py

The weights are random, made from the parameters' names (tests/backbones/resnets.py), so that the test makes the same
ones without PyTorch. For every network NAME and image size S it holds ``NAME/S/layer1`` to ``NAME/S/layer4``: every
61st value of the map (1, C, n, n) float32 in C order, ending a ``(k,)`` array with the map's sum in float64.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from backbones import resnets  # noqa: E402

NAMES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "wide_resnet101_2")
LAYERS = ("layer1", "layer2", "layer3", "layer4")
SIZES = (64, 75)  # 75 is odd at every layer
STEP = 61
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def oracle(name: str) -> Any:
    """torchvision's network with our random weights; the classifier's stay as they are."""
    import torch
    import torchvision

    model = torchvision.models.get_model(name, weights=None).eval()
    state = model.state_dict()
    shapes = {k: tuple(v.shape) for k, v in state.items() if not k.startswith("fc.") and v.ndim}
    state |= {key: torch.from_numpy(value) for key, value in resnets.random_state(shapes).items()}
    model.load_state_dict(state, strict=True)
    return model


def maps(model: Any, images: np.ndarray) -> dict[str, np.ndarray]:
    """Its feature maps (batch, C, n, n) by layer, of uint8 images."""
    import torch

    found: dict[str, np.ndarray] = {}
    hooks = [
        getattr(model, layer).register_forward_hook(
            lambda _m, _i, out, layer=layer: found.update({layer: out.numpy()})
        )
        for layer in LAYERS
    ]
    values = (images.astype(np.float32) / 255 - MEAN) / STD
    with torch.no_grad():
        model(torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2))))
    for hook in hooks:
        hook.remove()
    return found


def sampled(x: np.ndarray) -> np.ndarray:
    """What is stored of a map."""
    return np.append(x.ravel()[::STEP], x.sum(dtype=np.float64)).astype(np.float32)


def main() -> None:
    arrays = {}
    for name in NAMES:
        model = oracle(name)
        for size in SIZES:
            for layer, x in maps(model, resnets.images(size)).items():
                arrays[f"{name}/{size}/{layer}"] = sampled(x)
                print(name, size, layer, x.shape, float(x.mean()), float(x.std()), float(x.max()))
    np.savez_compressed(HERE / "resnet.npz", **arrays)


if __name__ == "__main__":
    main()
