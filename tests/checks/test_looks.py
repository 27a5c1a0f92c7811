from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from kizu.checks import look
from kizu.datasets import Sample
from kizu.errors import ImageError
from kizu.images import resize
from workflows.tiles import tile, write


def at(path: Path, mask: Path | None = None) -> Sample:
    return Sample(path, "test", "bad", "傷", mask)


def test_the_same_pixels_have_the_same_digest_in_every_lossless_format(tmp_path: Path) -> None:
    image = tile(0)
    looks = [look(at(write(tmp_path / f"傷{suffix}", image))) for suffix in (".png", ".bmp", ".tif")]
    assert len({one.digest for one in looks}) == 1
    assert [one.format for one in looks] == ["PNG", "BMP", "TIFF"]
    changed = image.copy()
    changed[0, 0, 0] ^= 1
    assert look(at(write(tmp_path / "b.png", changed))).digest != looks[0].digest
    flat = np.full((20, 30, 3), 7, np.uint8)
    turned = look(at(write(tmp_path / "turned.png", flat.swapaxes(0, 1))))
    assert look(at(write(tmp_path / "flat.png", flat))).digest != turned.digest


def test_figures_are_those_of_the_pixels(tmp_path: Path) -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[:50] = 255
    image[:, :100, 0] = 100
    image[[0, 1, 60, 61], 150:] = np.array([253, 254, 1, 2])[:, None, None]
    found = look(at(write(tmp_path / "a.png", image)))
    grey = np.asarray(Image.fromarray(image).convert("L"))
    assert found.size == (100, 200)
    assert not found.grey
    assert found.brightness == pytest.approx(grey.mean(), abs=0.5)
    assert found.white == pytest.approx((grey >= 254).mean(), abs=1e-6)
    assert found.black == pytest.approx((grey <= 1).mean(), abs=1e-6)
    assert found.thumbnail.shape == (128, 128)
    assert look(at(write(tmp_path / "b.png", grey))).grey


def test_detail_and_noise_are_how_edges_fade_as_an_image_is_blurred(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (90, 120), dtype=np.uint8)
    levels = [grey.astype(float), *(ndimage.gaussian_filter(grey.astype(float), s, mode="mirror") for s in (1, 2))]
    fine, middle, coarse = (ndimage.laplace(level, mode="mirror").std() for level in levels)
    found = look(at(write(tmp_path / "a.png", grey)))
    assert (found.noise, found.detail) == pytest.approx((np.log(fine / middle), np.log(middle / coarse)), abs=0.01)


def test_masks_are_measured_and_one_that_cannot_be_read_is_no_error(tmp_path: Path) -> None:
    image = write(tmp_path / "a.png", tile(0))
    marked = np.zeros((96, 96), np.uint8)
    marked[:24] = 255
    found = look(at(image, write(tmp_path / "a_mask.png", marked))).mask
    assert found is not None
    assert (found.size, found.marked, found.problem) == ((96, 96), 0.25, None)
    (tmp_path / "empty.png").touch()
    found = look(at(image, tmp_path / "empty.png")).mask
    assert found is not None
    assert "the file is empty" in str(found.problem)


def test_an_image_that_cannot_be_read_is(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", tile(0))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ImageError, match="cut short"):
        look(at(path))
    with pytest.raises(ImageError, match="more than the limit"):
        look(at(write(tmp_path / "b.png", tile(0))), max_pixels=100)


def test_a_large_picture_is_measured_at_a_size_that_takes_no_time(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (8, 4000), np.uint8)
    assert np.isfinite(look(at(write(tmp_path / "a.png", image))).detail)


def test_a_large_picture_is_as_sharp_as_it_is_at_that_size(tmp_path: Path) -> None:
    image = resize(np.random.default_rng(0).integers(0, 256, (150, 500), np.uint8), (600, 2000))
    small = look(at(write(tmp_path / "small.png", resize(image, (307, 1024)))))
    found = look(at(write(tmp_path / "large.png", image)))
    assert (found.detail, found.noise) == pytest.approx((small.detail, small.noise), abs=1e-5)


def test_pages_after_the_first_are_seen(tmp_path: Path) -> None:
    pages = [Image.fromarray(tile(seed)) for seed in range(3)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "one.tif")
    stack, one = (look(at(tmp_path / name)) for name in ("stack.tif", "one.tif"))
    assert (stack.more_pages, one.more_pages) == (True, False)
    assert stack.digest == one.digest
    assert not look(at(write(tmp_path / "one.png", tile(0)))).more_pages
