"""Views for the tests of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kizu.report import View

LIMIT = 20.0


def blob(size: tuple[int, int], low: float, peak: float) -> NDArray[np.float32]:
    """A map (h, w) of ``low`` with a hill up to ``peak`` a little off its middle."""
    y, x = (np.linspace(-1, 1, side) for side in size)
    hill = np.exp(-(((y[:, None] + 0.2) / 0.25) ** 2) - ((x[None] - 0.3) / 0.2) ** 2)
    return (low + (peak - low) * hill / hill.max()).astype(np.float32)


def view(size: tuple[int, int] = (120, 160), peak: float = 30.0, **changes: Any) -> View:
    """A noisy brown image with a hill in its map; ``changes`` are fields of the view."""
    noise = np.random.default_rng(0).integers(0, 40, (*size, 1))
    image = (noise + np.array([150, 120, 90])).astype(np.uint8)
    fields: dict[str, Any] = {"verdict": "ng", "score": 31.2, "threshold": 28.4, "pixel_threshold": LIMIT}
    return View(**{"image": image, "anomaly_map": blob((64, 64), 5.0, peak), **fields, **changes})


def truth(size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask with a box away from the hill."""
    mask = np.zeros(size, np.bool_)
    mask[size[0] * 6 // 10 : size[0] * 8 // 10, size[1] // 8 : size[1] * 3 // 8] = True
    return mask
