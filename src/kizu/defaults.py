"""What a detector wants on a backbone when the user does not say.

Published values stand beside their paper; kizu's own were chosen on the solar cells (docs/decisions/0007), never on
the data a figure is reported on. What is not named here keeps its card's layers and the detector's own defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Defaults:
    """Settings taken where the user left them open; ``parameters`` are the detector's."""

    layers: tuple[str, ...] | None = None
    parameters: MappingProxyType[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    settings: MappingProxyType[str, Any] = field(default_factory=lambda: MappingProxyType({}))


_RESNET = ("layer1", "layer2", "layer3")
_AS_THEY_ARE = MappingProxyType({"patch_stride": None, "patch_size": 1})

_PAIRS = (("blocks.1", "blocks.2"), ("blocks.2", "blocks.4"), ("blocks.4", "blocks.5"))
_GROUPED = Defaults(settings=MappingProxyType({"groups": _PAIRS}))

# PaDiM, arXiv 2011.08785, section IV-B (and hamacho): ResNet-18 100 of 448, Wide ResNet-50-2 550 of 1792.
_TABLE = {
    ("padim", "resnet18"): Defaults(_RESNET, MappingProxyType({"reduced_dims": 100}), _AS_THEY_ARE),
    **{("ensemble", f"efficientnet_lite{number}"): _GROUPED for number in (0, 1, 2)},
    ("padim", "wide_resnet50_2"): Defaults(_RESNET, MappingProxyType({"reduced_dims": 550}), _AS_THEY_ARE),
}


def defaults_for(detector: str, backbone: str) -> Defaults:
    """The table's row for a detector on a backbone; an empty one where there is none."""
    return _TABLE.get((detector, backbone), Defaults())
