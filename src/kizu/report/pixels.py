"""``pixels/NAME.csv``: the scores of an anomaly map, as a grid of numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kizu.files import atomic_write
from kizu.images import Box
from kizu.report._cells import start_of


def write_pixels(path: Path | str, anomaly_map: NDArray[np.float32], seen: Box) -> None:
    """Write a map ``(h, w)`` as CSV, a line a row, whole or not at all. Raises `OutputError`.

    The first line says at which x, the first column at which y of the image the scores are, in pixels of its own
    size, the upper left pixel being at (0, 0). ``seen`` is the part of the image that the map shows. The map is
    written as it is: at image size it would hold no more, in a file many times as large.
    """
    atomic_write(path, pixels_csv(anomaly_map, seen), durable=False)


def pixels_csv(anomaly_map: NDArray[np.float32], seen: Box) -> bytes:
    """What `write_pixels` writes.

    >>> seen = Box(top=0, left=10, height=2, width=4)
    >>> pixels_csv(np.array([[1.5, 2], [3, 40]], np.float32), seen).decode("utf-8-sig")
    'y\\\\x,10.5,12.5\\n0,1.5,2\\n1,3,40\\n'
    """
    height, width = anomaly_map.shape
    across, down = (_centres(seen.left, seen.width, width), _centres(seen.top, seen.height, height))
    row = ",".join(["%.7g"] * (width + 1)) + "\n"
    values = np.concatenate([down[:, None], anomaly_map.astype(np.float64)], axis=1)
    head = start_of(("y\\x", *(f"{x:.7g}" for x in across)))
    return head + "".join([row % tuple(numbers) for numbers in values.tolist()]).encode()


def _centres(first: int, length: int, count: int) -> NDArray[np.float64]:
    """Where the middles of ``count`` equal parts of ``length`` pixels lie."""
    return first + (np.arange(count) + 0.5) * length / count - 0.5
