"""What reading a file takes of memory, known from its header."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from kizu.images import Reading

HEIGHT, WIDTH = 600, 800


def saved(path: Path, depth: Any, channels: int = 3) -> Path:
    samples = np.random.default_rng(0).integers(0, np.iinfo(depth).max, (HEIGHT, WIDTH, channels)).astype(depth)
    assert cv2.imwrite(str(path), samples)
    return path


@pytest.mark.parametrize(
    ("name", "depth", "channels", "reading"),
    [
        ("a.jpg", np.uint8, 3, Reading()),
        ("a.jpg", np.uint8, 3, Reading(least=100)),
        ("a.jpg", np.uint8, 3, Reading(window=(10, 200))),
        ("a.bmp", np.uint8, 3, Reading()),
        ("a.png", np.uint8, 4, Reading(channels=(3, 1, 0))),
        ("a.png", np.uint16, 3, Reading()),
        ("a.png", np.uint16, 1, Reading()),
        ("a.png", np.uint16, 3, Reading(window=(0, 4095))),
        ("a.png", np.uint16, 3, Reading(window=(0, 4095), channels=(1,))),
    ],
)
def test_it_takes_what_is_told(tmp_path: Path, name: str, depth: Any, channels: int, reading: Reading) -> None:
    path = saved(tmp_path / name, depth, channels)
    reading.levels(reading.read(path))  # loads what it takes
    held, beside = reading.memory(path)
    tracemalloc.start()
    try:
        samples = reading.read(path)
        reading.levels(samples)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert samples.nbytes == held
    assert 0.4 * (held + beside) < peak < 1.1 * (held + beside)
