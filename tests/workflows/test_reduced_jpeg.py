"""JPEG files decoded smaller than they are: scores stay within the tolerance, places in the image are its own."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import kizu
from kizu import workflows
from kizu.errors import ImageError, ParameterError
from kizu.images import Reading, read_image, read_samples
from workflows.tiles import tile, write

SETTINGS: dict[str, Any] = {"image_size": 64, "false_alarms": 0.2}
SIZE = (600, 800)

SCORE, MAP = 0.02, 0.1
"""The tolerances of docs/depth.md: of a score, and of a map's range."""


def photo(seed: int, scratched: bool = False) -> np.ndarray:
    """A tile photographed at ``(600, 800)``, with a sensor's noise."""
    large = cv2.resize(tile(seed, scratched), SIZE[::-1], interpolation=cv2.INTER_CUBIC).astype(np.float64)
    return (large + np.random.default_rng(seed).normal(0, 4, large.shape)).clip(0, 255).astype(np.uint8)


def save(path: Path, image: np.ndarray, orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(image).save(path, "JPEG", quality=92, exif=exif)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("写真")
    for number in range(16):
        save(root / "train" / "good" / f"{number:02}.jpg", photo(number))
    for number in range(4):
        save(root / "test" / "good" / f"{number}.jpg", photo(50 + number))
        save(root / "test" / "scratch" / f"{number}.jpg", photo(100 + number, scratched=True))
        mask = np.zeros(SIZE, np.uint8)
        mask[150:500, 160:660] = 255
        write(root / "ground_truth" / "scratch" / f"{number}_mask.png", mask)
    return root


@pytest.fixture(scope="module")
def reduced(data: Path) -> kizu.Inspector:
    return kizu.fit(data, reduced_jpeg=True, **SETTINGS)


def test_scores_stay_within_the_tolerance(data: Path, reduced: kizu.Inspector) -> None:
    """Of one model, whether files are read whole or reduced."""
    plain = kizu.fit(data, **SETTINGS)
    for path in sorted((data / "test").glob("*/*.jpg")):
        small = reduced.reading.read(path)
        assert small.shape == (150, 200, 3)
        score, found = plain.measure(small)
        expected, whole = plain.measure(read_image(path))
        assert score == pytest.approx(expected, rel=SCORE)
        assert score != expected
        assert np.abs(found - whole).max() <= MAP * np.ptp(whole)
    assert workflows.evaluate(plain, data).image.auroc == workflows.evaluate(reduced, data).image.auroc == 1


def test_places_are_those_of_the_image(data: Path, reduced: kizu.Inspector, tmp_path: Path) -> None:
    (prediction,) = workflows.predict(reduced, [data / "test" / "scratch" / "0.jpg"], out=tmp_path / "out")
    assert prediction.size == SIZE
    assert prediction.full_map.shape == SIZE
    rows, columns = np.nonzero(prediction.predicted_mask)
    assert rows.max() > 300
    assert columns.max() > 400
    (picture,) = (tmp_path / "out" / "pictures").iterdir()
    assert read_image(picture).shape[1] >= SIZE[1]
    found = workflows.evaluate(reduced, data, out=tmp_path / "judged")
    assert found.pixel is not None
    assert found.pixel.auroc is not None
    assert found.pixel.auroc > 0.5
    plain = kizu.fit(data, **SETTINGS)
    assert workflows.compare([reduced, plain], data, out=tmp_path / "compared").models[0].image.auroc == 1


def test_the_smallest_that_is_large_enough_is_decoded(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", photo(0))
    sizes = {least: read_samples(path, least=least).shape[:2] for least in (1, 75, 76, 150, 151, 300, 301, 9999)}
    assert sizes == {
        1: (75, 100),
        75: (75, 100),
        76: (150, 200),
        150: (150, 200),
        151: (300, 400),
        300: (300, 400),
        301: SIZE,
        9999: SIZE,
    }
    odd = save(tmp_path / "odd.jpg", photo(0)[:333, :451])
    assert read_samples(odd, least=16).shape == (42, 57, 3)
    assert Reading(least=16).size_in(odd) == (42, 57)
    assert Reading(least=16, channels=(0,)).size_in(odd) == read_samples(odd, channels=[0]).shape[:2]


def test_reduced_is_what_averaging_gives_nearly(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", (photo(0) * [1, 0.6, 0.2]).astype(np.uint8))
    whole = read_image(path).astype(np.float64)
    for by in (2, 4, 8):
        small = read_samples(path, least=600 // by)
        means = whole.reshape(600 // by, by, 800 // by, by, 3).mean(axis=(1, 3))
        assert np.abs(small - means).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int, tmp_path: Path, reduced: kizu.Inspector) -> None:
    path = save(tmp_path / "a.jpg", photo(0), orientation)
    whole, small = read_image(path), reduced.reading.read(path)
    assert small.shape[:2] == tuple(side // 4 for side in whole.shape[:2])
    near = cv2.resize(whole, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - near).mean() < 2
    assert reduced.reading.size_in(path) == small.shape[:2]
    assert reduced.reading.size_of(path, small) == whole.shape[:2] == reduced.predict(path).size


def test_other_formats_and_arrays_are_as_ever(tmp_path: Path, reduced: kizu.Inspector) -> None:
    image = photo(0)
    path = write(tmp_path / "a.png", image)
    assert reduced.reading.read(path).shape == image.shape
    assert reduced.predict(path).score == reduced.inspect(image).score
    assert reduced.predict(path).size == SIZE
    grey = io.BytesIO()
    Image.fromarray(image[..., 0]).save(grey, "JPEG")
    (tmp_path / "grey.jpg").write_bytes(grey.getvalue())
    assert reduced.reading.read(tmp_path / "grey.jpg").shape == (150, 200, 3)


def test_files_cut_short_are_refused(tmp_path: Path, reduced: kizu.Inspector) -> None:
    path = save(tmp_path / "a.jpg", photo(0))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ImageError, match="cut short"):
        reduced.predict(path)


def test_it_is_kept_in_the_model(data: Path, reduced: kizu.Inspector, tmp_path: Path) -> None:
    reduced.save(tmp_path / "a.kizu")
    loaded = kizu.load(tmp_path / "a.kizu")
    assert loaded.reading == reduced.reading == Reading(least=128)
    path = data / "test" / "good" / "0.jpg"
    assert loaded.predict(path).score == reduced.predict(path).score
    kizu.fit(data, reduced.config).save(tmp_path / "b.kizu")
    assert (tmp_path / "a.kizu").read_bytes() == (tmp_path / "b.kizu").read_bytes()
    done = workflows.update(tmp_path / "a.kizu", [save(tmp_path / "new.jpg", photo(70))])
    assert len(done.added) == 1
    exported = workflows.export(tmp_path / "b.kizu", tmp_path / "b.onnx", images=[path])
    assert exported.agreement.score < 1e-3


@pytest.mark.parametrize(
    ("name", "value"),
    [("tile_size", 64), ("roi", "0,0,0.5,0.5"), ("foreground", True), ("keep_aspect", True), ("channels", (0,))],
)
def test_settings_that_take_all_pixels_are_refused(data: Path, name: str, value: Any) -> None:
    given = {name: value, **({} if name == "tile_size" else {"image_size": 64})}
    with pytest.raises(ParameterError, match=f"`{name}` must be left out where reduced_jpeg is true"):
        kizu.fit(data, reduced_jpeg=True, **given)
