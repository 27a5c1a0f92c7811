"""Tiles in the one path: exactly as without where one is enough, seams that do not show, areas that hold."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import kizu
from kizu.datasets.solar_cells import solar_cells
from kizu.errors import DataError
from kizu.images import Area, area_of, read_image
from kizu.inspector import Inspector
from workflows.tiles import write


def parquet(seed: int, height: int = 150, width: int = 200) -> np.ndarray:
    """``(height, width, 3)`` uint8: a texture without beginning or end."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] + rng.integers(0, 100, 2)[:, None, None]
    grain = 120 + 40 * np.sin(rows / 3.0) * np.cos(columns / 5.0)
    return (grain[..., None] + rng.normal(0, 6, (height, width, 3))).clip(0, 255).astype(np.uint8)


TILES = {"image_size": 64, "tile_size": 64, "false_alarms": 0.2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parquet")
    for number in range(6):
        write(folder / f"{number}.png", parquet(number))
    return folder


@pytest.fixture(scope="module")
def tiled(folder: Path) -> Inspector:
    return kizu.fit(folder, **TILES)


def test_the_map_is_of_the_image_and_finds_a_spot_where_it_is(tiled: Inspector) -> None:
    image = parquet(50)
    sound = tiled.predict(image)
    image[100:110, 130:140] = 250
    found = tiled.predict(image)
    assert found.anomaly_map.shape == (150, 200)
    assert found.whole
    assert found.verdict == "ng"
    assert found.score > sound.score
    (region, *_) = found.regions
    assert abs(region.peak_x - 135) <= 8
    assert abs(region.peak_y - 105) <= 8


def test_row_by_row_is_as_all_at_once(tiled: Inspector) -> None:
    image = parquet(51)
    whole = tiled.detector.score(tiled.embed(image))
    score, anomaly_map = tiled.measure(image)
    assert score == pytest.approx(float(whole.images[0]), rel=1e-6)
    np.testing.assert_allclose(anomaly_map, tiled.map_of(whole.patches[0], (150, 200)), rtol=1e-5)


def test_row_by_row_with_a_weight(folder: Path) -> None:
    reweighted = kizu.fit(folder, **TILES, detector={"name": "patchcore", "reweight": True})
    image = parquet(52)
    image[20:30, 20:30] = 250
    whole = reweighted.detector.score(reweighted.embed(image))
    assert reweighted.measure(image)[0] == pytest.approx(float(whole.images[0]), rel=1e-6)


@pytest.mark.parametrize("detector", ["patchcore", {"name": "padim", "reduced_dims": 8}])
@pytest.mark.parametrize("side", [64, 50])
@pytest.mark.filterwarnings("ignore:tiles of 64 pixels are larger than the images")
def test_an_image_that_fits_in_one_tile_gives_what_it_gives_without_tiles(
    tmp_path: Path, detector: object, side: int
) -> None:
    for number in range(12):
        write(tmp_path / f"{number}.png", parquet(number, side, side))
    plain = kizu.fit(tmp_path, image_size=64, detector=detector, false_alarms=0.2, sigma=1.0)
    tiled = kizu.fit(tmp_path, **TILES, detector=detector, sigma=1.0)
    assert plain.calibration is not None
    assert tiled.calibration is not None
    np.testing.assert_allclose(tiled.calibration.scores, plain.calibration.scores, rtol=1e-6)
    np.testing.assert_allclose(tiled.calibration.peaks, plain.calibration.peaks, rtol=1e-6)
    one, other = (inspector.predict(parquet(60, side, side)) for inspector in (plain, tiled))
    assert one.score == other.score
    np.testing.assert_array_equal(one.anomaly_map, other.anomaly_map)


@cache
def module(first: int) -> np.ndarray:
    """``(600, 900, 3)``: six solar cells."""
    cells = [read_image(sample.path) for sample in solar_cells("mono").samples[6 * first : 6 * first + 6]]
    return np.concatenate([np.concatenate(cells[row : row + 3], axis=1) for row in (0, 3)])


def test_seams_do_not_show_on_real_images(tmp_path: Path) -> None:
    """From a patch to the next scores change no more where the tile changes than elsewhere."""
    for number in range(5):
        write(tmp_path / f"{number}.png", module(number))
    inspector = kizu.fit(tmp_path, tile_size=256, false_alarms=0.2, layers=["blocks.1", "blocks.2", "blocks.4"])
    tiling = inspector.tiling
    assert tiling is not None
    at_seams, elsewhere = [], []
    for number in range(5, 10):
        patches = inspector.detector.score(inspector.embed(module(number))).patches[0]
        for axis, spans in enumerate(tiling.spans((600, 900))):
            steps = np.abs(np.diff(patches, axis=axis)).mean(axis=1 - axis)
            seams = np.array([span.last - 1 for span in spans[:-1]])
            at_seams.append(steps[seams])
            elsewhere.append(np.delete(steps, seams))
    ratio = np.concatenate(at_seams).mean() / np.concatenate(elsewhere).mean()
    assert ratio < 1.35


def test_the_network_without_overlap_would_show_seams() -> None:
    """What overlap is for: embeddings of tiles next to each other differ more at their border than further inside."""
    from kizu import backbones

    card = backbones.get("efficientnet_lite0")
    layers = ["blocks.1", "blocks.2", "blocks.4"]
    whole = backbones.open_engine(backbones.embedding_graph(card, layers, 512, patch_stride=8))
    tile = backbones.open_engine(backbones.embedding_graph(card, layers, 256, patch_stride=8))
    image = module(0)[None, :512, :512]
    expected = whole.embed(image)[0, 16:48, 16:48]
    off = np.linalg.norm(tile.embed(image[:, 128:384, 128:384])[0] - expected, axis=2)
    assert off[0].mean() > 1.5 * off[12].mean()


def test_images_of_any_size_after_one_fit(tiled: Inspector) -> None:
    for size in ((64, 64), (70, 300), (257, 33)):
        found = tiled.predict(parquet(70, *size))
        assert found.full_map.shape == size


def test_padim_takes_images_of_one_size_and_says_so(folder: Path, tmp_path: Path) -> None:
    padim = {"name": "padim", "reduced_dims": 4}
    inspector = kizu.fit(folder, **TILES, detector=padim)
    assert inspector.predict(parquet(80)).anomaly_map.shape == (150, 200)
    with pytest.raises(DataError, match="images give grids of 25 x 19 and of 26 x 19 patches"):
        inspector.predict(parquet(80, 150, 208))
    write(tmp_path / "0.png", parquet(0))
    write(tmp_path / "1.png", parquet(1, 208, 150))
    with pytest.raises(DataError, match="Give images of one size, or use --detector patchcore"):
        kizu.fit(tmp_path, **TILES, detector=padim, calibration="k_fold", folds=2)


def test_a_fit_on_images_of_different_sizes(tmp_path: Path) -> None:
    sizes = [(150, 200), (64, 64), (100, 290), (40, 40)]
    for number, size in enumerate(sizes):
        write(tmp_path / f"{number}.png", parquet(number, *size))
    inspector = kizu.fit(tmp_path, **TILES)
    counts = [19 * 25, 64, 13 * 37, 64]
    assert inspector.detector.patches_ == sum(counts)  # type: ignore[attr-defined]
    owners = inspector.detector.owners_  # type: ignore[attr-defined]
    assert set(owners.tolist()) <= {0, 1, 2, 3}
    assert inspector.calibration is not None
    assert len(inspector.calibration.scores) == 4


@pytest.mark.parametrize("name", ["tiled", "plain", "padim"])
def test_only_the_area_counts(folder: Path, name: str) -> None:
    settings: dict[str, object] = {"plain": {"image_size": 64}, "tiled": TILES, "padim": {"image_size": 64}}[name]
    detector = {"name": "padim", "reduced_dims": 4} if name == "padim" else "patchcore"
    roi = "40,30 180,30 110,140"
    inspector = kizu.fit(folder, **{"false_alarms": 0.2, **settings}, detector=detector, roi=roi)  # type: ignore[arg-type]
    area = area_of(roi, (150, 200)).mask
    sound, outside, inside = parquet(90), parquet(90), parquet(90)
    outside[120:150, :40] = 250
    inside[60:76, 100:116] = 250
    before, beyond, hit = (inspector.predict(image) for image in (sound, outside, inside))
    assert hit.score > 1.2 * before.score
    assert beyond.score < 1.1 * before.score
    disagreeing = before.inspected != area
    assert disagreeing.mean() < 0.03  # the map has fewer pixels than the image
    for prediction in (before, beyond, hit):
        assert not prediction.whole
        assert not prediction.full_map[~prediction.inspected].any()
        assert (prediction.full_map[prediction.inspected] > 0).all()
    assert inspector.embed(sound).shape[:2] == (1, 1)


@pytest.mark.parametrize("settings", [{"image_size": 64}, {"image_size": 32, "tile_size": 64}])
def test_the_map_does_not_fade_at_the_edge_of_the_area(folder: Path, settings: dict[str, object]) -> None:
    """Zeros outside are not mixed into scores inside where the map is enlarged."""
    roi = "0.1,0.1 0.9,0.1 0.9,0.9 0.1,0.8"
    inspector = kizu.fit(folder, **settings, false_alarms=0.2, roi=roi)  # type: ignore[arg-type]
    found = inspector.predict(parquet(95))
    assert found.inside is not None
    even = replace(found, anomaly_map=np.where(found.inside, np.float32(1.2), np.float32(0)), pixel_threshold=1.0)
    np.testing.assert_allclose(even.full_map, np.where(found.inspected, 1.2, 0), rtol=1e-6)
    np.testing.assert_array_equal(even.predicted_mask, found.inspected)


def test_an_area_is_seen_at_full_resolution(folder: Path) -> None:
    inspector = kizu.fit(folder, image_size=64, false_alarms=0.2, roi="100,50,64,64")
    image = parquet(91)
    expected = inspector.engine.embed(image[None, 50:114, 100:164])
    np.testing.assert_array_equal(inspector.embed(image), expected)
    assert inspector.predict(image).seen.left == 100


def test_images_of_another_size_than_an_area_in_pixels(folder: Path) -> None:
    inspector = kizu.fit(folder, image_size=64, false_alarms=0.2, roi="100,50,64,64")
    with pytest.raises(DataError, match="drawn in pixels of 200 x 150 images; this one is 100 x 90"):
        inspector.predict(parquet(0, 90, 100))
    in_fractions = kizu.fit(folder, image_size=64, false_alarms=0.2, roi="0.1,0.1 0.9,0.1 0.5,0.9")
    shapes = {inspector_shape(in_fractions, *size) for size in ((150, 200), (90, 100), (300, 40))}
    assert len(shapes) == 1


SHAPE = "0.05,0.05 0.95,0.05 0.95,0.15 0.15,0.15 0.15,0.35 0.95,0.35 0.95,0.45 0.05,0.45"
"""A bracket, as fractions."""

CORNER = "0,0 1,0 1,0.25 0.25,0.25 0.25,1 0,1"
"""Two strips, of as many patches in a standing image as in a lying one."""


def test_with_proportions_kept_each_shape_of_image_has_patches_of_its_own(folder: Path) -> None:
    """The square shows another part of the area: all that is inspected of it must be scored."""
    inspector = kizu.fit(folder, image_size=64, false_alarms=0.2, roi=SHAPE, keep_aspect=True)
    assert inspector.area is not None
    drawn = inspector.frame(inspector.area.size)
    for size in ((150, 200), (100, 300), (300, 120), (80, 80)):
        frame = inspector.frame(size)
        assert frame.inside is not None
        assert frame.counts is not None
        shares = frame.inside.reshape(frame.grid[0], 8, frame.grid[1], 8).mean(axis=(1, 3))
        np.testing.assert_array_equal(frame.counts, shares >= 0.5)
    for size in ((300, 400), (149, 200)):  # of that shape, but for rounding
        assert inspector.frame(size).alike(drawn)


PADIM = {"name": "padim", "reduced_dims": 4}


def test_padim_refuses_a_shape_of_which_it_has_not_learnt_the_positions(folder: Path) -> None:
    settings: dict[str, object] = {"image_size": 64, "false_alarms": 0.2, "keep_aspect": True}
    inspector = kizu.fit(folder, **settings, roi=SHAPE, detector=PADIM)  # type: ignore[arg-type]
    assert inspector.predict(parquet(80, 300, 400)).score > 0
    with pytest.raises(DataError, match="area of a 100 x 300 image than of the 200 x 150 images it was drawn for"):
        inspector.predict(parquet(80, 300, 100))
    with pytest.raises(DataError, match="padim learns each position"):
        inspector.embed(parquet(80, 300, 100))


def test_padim_refuses_as_many_patches_elsewhere(tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / f"{number}.png", parquet(number, 128, 256))
    inspector = kizu.fit(tmp_path, **TILES, roi=CORNER, detector=PADIM)  # type: ignore[arg-type]
    lying, standing = (inspector.frame(size).counts for size in ((128, 256), (256, 128)))
    assert lying is not None
    assert standing is not None
    assert lying.sum() == standing.sum()
    assert inspector.predict(parquet(80, 128, 256)).score > 0
    with pytest.raises(DataError, match="area of a 128 x 256 image than of the 256 x 128 images it was drawn for"):
        inspector.predict(parquet(80, 256, 128))


def inspector_shape(inspector: Inspector, height: int, width: int) -> tuple[int, ...]:
    return inspector.embed(parquet(0, height, width)).shape


@pytest.mark.parametrize("roi", [None, "40,30 180,30 110,140", "0.1,0.1,0.5,0.5"])
def test_a_file_of_it_gives_the_same(folder: Path, tmp_path: Path, roi: str | None) -> None:
    inspector = kizu.fit(folder, **TILES, roi=roi)
    inspector.save(tmp_path / "a.kizu")
    again = kizu.load(tmp_path / "a.kizu")
    one, other = inspector.predict(parquet(92)), again.predict(parquet(92))
    assert one.score == other.score
    assert one.anomaly_map.tobytes() == other.anomaly_map.tobytes()
    assert (again.area is None) == (roi is None)
    if again.area is not None and inspector.area is not None:
        np.testing.assert_array_equal(again.area.mask, inspector.area.mask)
        assert again.area.scales == inspector.area.scales


def test_scores_go_on_unchanged_to_the_edge_of_the_area(tiled: Inspector) -> None:
    """Patches that do not count do not thin the map out along the edge."""
    half = Area(np.arange(200) < np.full((150, 1), 100))
    within = replace(tiled, area=half)
    patches = np.full((1, within.embed(parquet(0)).shape[2]), 3.0, np.float32)
    frame = within.frame((150, 200))
    grid = patches if frame.counts is not None else patches.reshape(frame.grid)
    np.testing.assert_allclose(within.map_of(grid, (150, 200)), 3.0, rtol=1e-5)
