"""What one picture shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from kizu import maps
from kizu.calibration import Verdict
from kizu.errors import DataError, ParameterError, bad_parameter


@dataclass(frozen=True, eq=False)
class View:
    """One scored image, as pictures of it need it.

    ``image`` ``(H, W, 3)`` RGB uint8 in its own resolution; ``anomaly_map`` ``(h, w)`` float32, of any size;
    ``score`` with ``threshold``, the limit for the image; ``pixel_threshold``, the limit for the map; ``verdict``,
    None where nothing was decided; ``truth`` ``(H, W)`` bool, where a person marked the defect, if one did;
    ``inspected`` ``(H, W)`` bool, where the model looked, if not everywhere. Nothing of it is ever changed.

    Raises:
        ParameterError: a shape, dtype or verdict is none of these, or a number is NaN.
        DataError: ``anomaly_map`` is no grid of finite numbers.
    """

    image: NDArray[np.uint8]
    anomaly_map: NDArray[np.float32]
    score: float
    threshold: float
    pixel_threshold: float
    verdict: Verdict | None
    truth: NDArray[np.bool_] | None = None
    inspected: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        _check_arrays(self.image, self.anomaly_map, {"truth": self.truth, "inspected": self.inspected})
        for name in ("score", "threshold", "pixel_threshold"):
            if math.isnan(getattr(self, name)):
                raise bad_parameter(name, "a number", getattr(self, name))
        if self.verdict not in (None, *get_args(Verdict)):
            raise bad_parameter("verdict", "one of ok, ng, review", self.verdict)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.image.shape[0], self.image.shape[1]

    @cached_property
    def full_map(self) -> NDArray[np.float32]:
        """The anomaly map in the image's resolution, ``(H, W)``."""
        return maps.resize_map(self.anomaly_map, self.size)

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """The predicted mask: where `full_map` is above the pixel threshold, ``(H, W)``."""
        return maps.predicted_mask(self.full_map, self.pixel_threshold)


def _check_arrays(
    image: NDArray[np.uint8], anomaly_map: NDArray[np.float32], masks: Mapping[str, NDArray[np.bool_] | None]
) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ParameterError(f"`image` must be (H, W, 3) uint8; got {image.shape} {image.dtype}.")
    if anomaly_map.ndim != 2 or not anomaly_map.size or not np.isfinite(anomaly_map).all():
        raise DataError(f"a map must be (h, w) finite scores; got shape {anomaly_map.shape}.")
    for name, mask in masks.items():
        if mask is not None and (mask.shape != image.shape[:2] or mask.dtype != np.bool_):
            got = f"{mask.shape} {mask.dtype}"
            raise ParameterError(f"`{name}` must be {image.shape[:2]} bool, as the image; got {got}.")
