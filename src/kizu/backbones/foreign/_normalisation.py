"""What a network does to the channels of an image before it looks at them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Normalisation:
    """``(x - mean) / std`` of the three channels on 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``(batch, n, n, 3)`` uint8 → ``(batch, 3, n, n)`` float32."""
        scaled = (images / 255.0 - np.array(self.mean)) / np.array(self.std)
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32)

    def __str__(self) -> str:
        mean, std = (", ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return f"(x / 255 - ({mean})) / ({std}) on 0 to 255 RGB"
