"""Which layers to take where nobody said: rules by position, not tuned on any data.

Pyramids: the maps at strides 8 and 16, the two levels of PatchCore (arXiv 2106.08265, section 4.4.2, j = 2 and 3 of a
ResNet). Columns (vision transformers, one stride throughout): the blocks at half and three quarters of the depth,
likewise neither the first edges nor the classes of the last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import log2

from kizu.backbones._card import Layer

STRIDES = (8, 16)
_DEEPEST = 1
"""Dots in the name of a stage: ``layer2``, ``features.3``."""

_NEAR = 0.3
"""Steps of two by which a stride may be off: maps that lose their border have strides like 8.5."""


def of_modules(layers: Sequence[Layer]) -> tuple[str, ...]:
    """Of a PyTorch network's modules, named with dots, in the order they ran: the outermost ones are its stages.

    A transformer may pass stride 8 on its way to its one stride, but deep inside the module that makes its patches.
    """
    return _stages(layers) or _columns(_numbered(layers)) or (layers[-1].name,)


def _stages(layers: Sequence[Layer]) -> tuple[str, ...]:
    """The last modules at the two strides, at the outermost depth where there are both; () below `_DEEPEST`."""
    for depth in range(_DEEPEST + 1):
        here = [layer for layer in layers if layer.name.count(".") == depth]
        found = [[layer.name for layer in here if _is_at(layer, stride)][-1:] for stride in STRIDES]
        if all(found):
            return tuple(name for names in found for name in names)
    return ()


def of_tensors(layers: Sequence[Layer], outputs: Sequence[str], closings: Sequence[str]) -> tuple[str, ...]:
    """Of an ONNX file's tensors: its own outputs where they are maps, or else those that close a block.

    ``closings`` are those: the residual sums among them, two a block in a transformer.
    """
    names = {layer.name for layer in layers}
    if own := tuple(name for name in outputs if name in names):
        return own
    closing = [layer for layer in layers if layer.name in closings] or list(layers)
    pyramid = [[layer.name for layer in closing if _is_at(layer, stride)][-1:] for stride in STRIDES]
    if all(pyramid):
        return tuple(name for found in pyramid for name in found)
    return _columns([layer.name for layer in closing][1::2]) or (closing[-1].name,)


def _is_at(layer: Layer, stride: int) -> bool:
    return abs(log2(layer.stride / stride)) < _NEAR


def _columns(blocks: Sequence[str]) -> tuple[str, ...]:
    depth = len(blocks)
    return (blocks[depth // 2 - 1], blocks[depth * 3 // 4 - 1]) if depth >= 4 else ()


def _numbered(layers: Sequence[Layer]) -> list[str]:
    """The longest row of modules named alike but for a number at the end."""
    rows: dict[str, list[str]] = {}
    for layer in layers:
        if found := re.fullmatch(r"(.*?)\d+", layer.name):
            rows.setdefault(found[1], []).append(layer.name)
    return max(rows.values(), key=len, default=[])
