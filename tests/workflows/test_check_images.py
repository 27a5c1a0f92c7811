"""The good images that a model keeps for its exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kizu
from kizu.images import read_image
from kizu.workflows._check_images import LARGEST, CheckImages
from workflows.tiles import SMALL, good, tile, write


def kept(data: Path, **settings: object) -> list[bytes]:
    return [
        image.tobytes() for image in kizu.fit(data, **{**SMALL, "calibration": "hold_out", **settings}).check_images
    ]


@pytest.fixture
def sound(tmp_path: Path) -> dict[bytes, int]:
    """12 good images, 5 of which will be held out: their numbers by their pixels."""
    return {read_image(path).tobytes(): n for n, path in enumerate(good(tmp_path / "data", 12))}


def test_held_out_images_come_first(sound: dict[bytes, int], tmp_path: Path) -> None:
    every = [sound[pixels] for pixels in kept(tmp_path / "data", check_images=12)]
    assert sorted(every) == list(range(12))
    assert every[:5] == sorted(every[:5])
    assert every[5:] == sorted(every[5:])
    for count in (0, 3, 5, 7):
        assert [sound[pixels] for pixels in kept(tmp_path / "data", check_images=count)] == every[:count]
    assert len(kept(tmp_path / "data")) == 3
    held_out = kizu.fit(tmp_path / "data", **SMALL, calibration="hold_out")
    assert held_out.calibration is not None
    scores = [held_out.measure(tile(number))[0] for number in every[:5]]
    np.testing.assert_array_equal(held_out.calibration.scores, scores)


def test_they_are_kept_as_they_were_read(tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path / "data" / f"{number}.png", tile(number)[:, : 60 + number])
    inspector = kizu.fit(tmp_path / "data", **SMALL, check_images=8)
    assert {image.shape[1] for image in inspector.check_images} == set(range(60, 68))
    for image in inspector.check_images:
        number = image.shape[1] - 60
        np.testing.assert_array_equal(image, tile(number)[:, : 60 + number])


def test_large_ones_are_reduced() -> None:
    images = CheckImages(2, held_out=2)
    images.held_out(np.full((3000, 2000, 3), 90, np.uint8))
    images.held_out(np.full((2000, 2000, 3), 90, np.uint8))
    from kizu.images import decode_image

    large, just = (decode_image(data, "a.png") for data in images.files)
    assert just.shape == (2000, 2000, 3)
    assert large.shape[0] * large.shape[1] <= LARGEST
    assert large.shape[0] / large.shape[1] == pytest.approx(1.5, rel=1e-3)
    assert (large == 90).all()
