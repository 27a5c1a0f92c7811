"""Fits on tiles drawn at random, areas and foregrounds of a fit, and what becomes of such models later."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kizu
from inspector.test_tiles import CORNER, TILES, parquet
from kizu import workflows
from kizu.calibration import Calibration
from kizu.errors import DataError, ExportError, KizuWarning, ParameterError
from kizu.images import area_of, read_image
from kizu.workflows import _fit
from workflows.tiles import tile, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parquet")
    for number in range(20):
        write(folder / f"{number:02}.png", parquet(number))
    return folder


RANDOM: dict[str, Any] = {**TILES, "random_tiles": 3}


@pytest.fixture(scope="module")
def sampled(folder: Path) -> kizu.Inspector:
    return kizu.fit(folder, **RANDOM)


def test_of_random_tiles_only_they_are_learnt(folder: Path, sampled: kizu.Inspector) -> None:
    everything = kizu.fit(folder, **TILES)
    assert everything.detector.patches_ == 20 * 19 * 25  # type: ignore[attr-defined]
    assert 20 * 3 * 16 <= sampled.detector.patches_ < 0.6 * everything.detector.patches_  # type: ignore[attr-defined]
    again = kizu.fit(folder, **RANDOM)
    assert again.calibration is not None
    assert sampled.calibration is not None
    np.testing.assert_array_equal(again.calibration.scores, sampled.calibration.scores)
    another = kizu.fit(folder, **RANDOM, seed=1)
    assert another.detector.patches_ != sampled.detector.patches_  # type: ignore[attr-defined]


def test_an_image_gone_meanwhile_leaves_the_others_scores_as_they_are(
    folder: Path, sampled: kizu.Inspector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each without what it gave itself, also where the second reading finds one file less."""
    copied = Path(shutil.copytree(folder, tmp_path / "parquet"))
    left_out_later = _fit.from_left_out_later

    def with_one_less(*given: Any) -> Calibration:
        (copied / "04.png").unlink()
        return left_out_later(*given)

    monkeypatch.setattr(_fit, "from_left_out_later", with_one_less)
    with pytest.warns(KizuWarning, match=r"skipped .*04\.png"):
        found = kizu.fit(copied, **RANDOM, skip_unreadable=True).calibration
    assert found is not None
    assert sampled.calibration is not None
    np.testing.assert_array_equal(found.scores, np.delete(sampled.calibration.scores, 4))


def test_it_is_calibrated_on_whole_images(folder: Path, sampled: kizu.Inspector) -> None:
    """By scores of all of each image, left out; so as many new good images are above as the threshold says."""
    assert sampled.calibration is not None
    scores = sampled.calibration.scores
    for number in range(3):
        fitted_on = sampled.measure(read_image(folder / f"{number:02}.png"))[0]
        assert scores[number] > fitted_on * 0.999
    new = np.array([sampled.measure(parquet(number))[0] for number in range(100, 140)])
    alarms = (new > sampled.calibration.threshold).mean()
    assert sampled.calibration.promised == pytest.approx(0.19, abs=0.01)
    assert alarms < 0.45  # 0.19 and sampling: a threshold from parts of images would alarm at most of them
    tiles = [
        sampled.detector.score(sampled.embed_some(parquet(n), np.random.default_rng(n))) for n in range(100, 140)
    ]
    of_parts = np.quantile([found.images[0] for found in tiles], 0.81)
    assert (new > of_parts).mean() > alarms


@pytest.mark.parametrize("method", ["k_fold", "hold_out"])
def test_other_calibrations_score_whole_images_too(folder: Path, method: Any, sampled: kizu.Inspector) -> None:
    inspector = kizu.fit(folder, **RANDOM, calibration=method, folds=2)
    assert inspector.calibration is not None
    assert sampled.calibration is not None
    assert np.median(inspector.calibration.scores) == pytest.approx(np.median(sampled.calibration.scores), rel=0.1)


def test_an_update_of_it(folder: Path, sampled: kizu.Inspector, tmp_path: Path) -> None:
    sampled.save(tmp_path / "a.kizu")
    for number in range(50, 53):
        write(tmp_path / "new" / f"{number}.png", parquet(number, 150, 230))
    done = workflows.update(tmp_path / "a.kizu", [tmp_path / "new"])
    assert (len(done.added), done.calibrating) == (3, 3)
    assert len(done.after.scores) == 23
    detector = done.inspector.detector
    assert 3 * 3 * 16 <= detector.patches_ - sampled.detector.patches_ <= 3 * 3 * 64  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tile_stride": 32}, "`tile_stride` must be null where tile_size is; got 32. It says how large tiles are"),
        ({"random_tiles": 2}, "`random_tiles` must be null where tile_size is"),
        ({**RANDOM, "memory": "2GB"}, "`memory` must be null where tile_size is given; got '2GB'. To fit in less"),
        (
            {**RANDOM, "detector": {"name": "ensemble", "robust": True}},
            "`random_tiles` must be null in a robust fit",
        ),
        (
            {"tile_size": 64, "resize": 80},
            "`resize` must be left out where tile_size is given; got 80. Tiles show all",
        ),
        ({"tile_size": 64, "keep_aspect": True}, "`keep_aspect` must be left out"),
        ({"tile_size": 64, "tile_border": 4}, "`tile_border` must be fewer than 3 patches"),
        ({"tile_size": 50}, "`image_size` must be a multiple of 32 where tiles are cut; got 50"),
        ({**RANDOM, "detector": "padim"}, "`random_tiles` must be null; got 3. padim learns each position"),
        (
            {**RANDOM, "detector": {"name": "patchcore", "robust": True}},
            "`random_tiles` must be null in a robust fit",
        ),
        ({"roi": "5,5"}, "`roi` must be a rectangle X,Y,WIDTH,HEIGHT, a polygon"),
        ({"roi": "nowhere.png"}, "or a mask file that exists; got 'nowhere.png'"),
        ({"roi": "100,100,200,100"}, "`roi` must be inside the images, which are 200 x 150 pixels"),
    ],
)
def test_settings_that_do_not_go_together(folder: Path, settings: dict[str, Any], message: str) -> None:
    image_size = {} if settings.get("tile_size") != 50 else {"image_size": 50}
    with pytest.raises(ParameterError) as raised:
        kizu.fit(folder, **{"image_size": 64, **settings, **image_size})
    assert message in str(raised.value)


def test_tiles_decide_the_image_size_where_nothing_else_does(folder: Path) -> None:
    config = kizu.fit(folder, tile_size=100, false_alarms=0.2).config
    assert (config.image_size, config.tile_lattice, config.tile_stride, config.tile_border) == (96, 32, 67, 2)
    assert config.sigma == 4
    again = kizu.fit(folder, config)
    assert again.config == config


def with_part(seed: int) -> np.ndarray:
    """A textured square on a dark background."""
    image = np.full((150, 200, 3), 20, np.uint8)
    image[40:110, 60:140] = parquet(seed, 70, 80)
    return image


def test_a_foreground(tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / f"{number}.png", with_part(number))
    inspector = kizu.fit(tmp_path, image_size=64, false_alarms=0.2, foreground=True)
    assert inspector.area is not None
    assert inspector.area.scales
    assert inspector.area.mask[40:110, 60:140].all()
    assert 0.18 < inspector.area.mask.mean() < 0.45
    sound, dust, broken = with_part(50), with_part(50), with_part(50)
    dust[5:15, 5:15] = 250
    broken[40:60, 60:80] = 20  # a corner that is gone looks like background
    before, beyond, hit = (inspector.predict(image).score for image in (sound, dust, broken))
    assert beyond == before
    assert hit > before


def test_a_foreground_is_learnt_at_the_size_of_most_images(tmp_path: Path) -> None:
    for number in range(12):
        image = with_part(number)
        write(tmp_path / f"{number:02}.png", image if number else image[::15, ::15])
    inspector = kizu.fit(tmp_path, image_size=64, false_alarms=0.2, foreground=True)
    assert inspector.area is not None
    assert inspector.area.size == (150, 200)


def test_no_clear_foreground_is_said_and_all_is_inspected(folder: Path) -> None:
    with pytest.warns(KizuWarning, match=r"no clear foreground: .* Everything is inspected; or draw the area"):
        inspector = kizu.fit(folder, image_size=64, false_alarms=0.2, foreground=True)
    assert inspector.area is None


def test_what_is_outside_the_area_is_no_pixel_of_the_metrics(tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path / "train" / "good" / f"{number}.png", parquet(number))
    for number in range(3):
        image, mask = parquet(60 + number), np.zeros((150, 200), np.uint8)
        image[60:76, 100:116], mask[60:76, 100:116] = 250, 255
        image[0:8, 0:8], mask[0:8, 0:8] = 250, 255  # in the corner, outside
        write(tmp_path / "test" / "spot" / f"{number}.png", image)
        write(tmp_path / "ground_truth" / "spot" / f"{number}_mask.png", mask)
        write(tmp_path / "test" / "good" / f"{number}.png", parquet(70 + number))
    inspector = kizu.fit(tmp_path, **TILES, roi="40,30 180,30 110,140")
    found = workflows.evaluate(inspector, tmp_path, out=tmp_path / "out")
    assert found.pixel is not None
    assert found.pixel.regions == 3
    pixels = found.pixel.tp + found.pixel.fp + found.pixel.tn + found.pixel.fn
    assert inspector.area is not None
    assert pixels == 6 * inspector.area.mask.sum()
    assert found.image.auroc == 1
    assert (tmp_path / "out" / "pixel_metrics.csv").is_file()


def test_tiles_are_not_exported(sampled: kizu.Inspector, tmp_path: Path) -> None:
    sampled.save(tmp_path / "a.kizu")
    with pytest.raises(ExportError, match="a model that cuts images into tiles cannot be exported"):
        workflows.export(tmp_path / "a.kizu", tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


@pytest.mark.parametrize("detector", ["patchcore", "ensemble", {"name": "padim", "reduced_dims": 4}])
@pytest.mark.parametrize("roi", ["40,30 180,30 110,140", "0.1,0.2,0.5,0.5"])
def test_an_area_is_exported(folder: Path, tmp_path: Path, detector: Any, roi: str) -> None:
    kizu.fit(folder, image_size=64, false_alarms=0.2, detector=detector, roi=roi).save(tmp_path / "a.kizu")
    done = workflows.export(tmp_path / "a.kizu", tmp_path / "a.onnx", images=[folder / "05.png"])
    assert done.image_size == "200 x 150"
    assert done.agreement.images == 5  # three kept, one given, one altered
    assert done.agreement.score < 1e-4
    other = write(tmp_path / "other.png", parquet(0, 90, 90))
    with pytest.raises(DataError, match=r"other\.png: an export of this model takes 200 x 150 images"):
        workflows.export(tmp_path / "a.kizu", tmp_path / "b.onnx", images=[other])


def test_reports_comparisons_and_drift_take_such_models(
    folder: Path, sampled: kizu.Inspector, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for number in range(3):
        write(data / "good" / f"{number}.png", parquet(90 + number))
        image = parquet(80 + number)
        image[50:60, 50:60] = 250
        write(data / "bad" / f"b{number}.png", image)
        write(data / "mask" / f"b{number}.png", (image == 250).all(axis=2).astype(np.uint8) * 255)
    dataset = kizu.datasets.load_dataset(data, seed=0)
    area = kizu.fit(folder, image_size=64, false_alarms=0.2, roi="20,20,150,100")
    compared = workflows.compare([sampled, area], dataset)
    assert [model.pixel is not None for model in compared.models] == [True, True]
    list(workflows.predict(sampled, [data / "bad"], out=tmp_path / "out"))
    assert workflows.find_drift(sampled, [tmp_path / "out" / "predictions.csv"], every_row=True).ng_share == 1
    report = workflows.make_report(sampled, data, out=tmp_path / "report", check=False)
    assert report is not None


def test_int8_measures_ranges_on_tiles(folder: Path) -> None:
    inspector = kizu.fit(folder, **RANDOM, precision="int8")
    assert inspector.glimpse(parquet(0)).shape == (64, 64, 3)
    assert inspector.predict(parquet(0)).anomaly_map.shape == (150, 200)


def test_a_preset_leaves_sizes_to_the_tiles(folder: Path) -> None:
    config = kizu.fit(folder, preset="lite-fast", tile_size=128, false_alarms=0.2).config
    assert (config.image_size, config.keep_aspect, config.resize) == (128, False, None)


ENSEMBLE: dict[str, Any] = {**TILES, "detector": "ensemble"}


def test_an_ensemble_on_tiles(folder: Path, tmp_path: Path) -> None:
    """Images of two sizes, tiles drawn at random; calibrated on whole images, and updated."""
    for number in range(20):
        write(tmp_path / "mixed" / f"{number:02}.png", parquet(number, 150, 200 + 40 * (number % 2)))
    inspector = kizu.fit(tmp_path / "mixed", **ENSEMBLE, random_tiles=3)
    assert inspector.calibration is not None
    assert inspector.calibration.method == "leave_one_out"
    for number in range(3):
        fitted_on = inspector.measure(read_image(tmp_path / "mixed" / f"{number:02}.png"))[0]
        assert inspector.calibration.scores[number] > fitted_on * 0.999
    new = np.array([inspector.measure(parquet(number))[0] for number in range(100, 130)])
    assert (new > inspector.calibration.threshold).mean() < 0.45
    flawed = parquet(131)
    flawed[60:70, 60:70] = 250
    found = inspector.predict(flawed)
    assert found.verdict == "ng"
    assert np.hypot(*(np.array(np.unravel_index(found.anomaly_map.argmax(), (150, 200))) - 65)) < 12
    inspector.save(tmp_path / "a.kizu")
    write(tmp_path / "new" / "0.png", parquet(50))
    done = workflows.update(tmp_path / "a.kizu", [tmp_path / "new"])
    assert (done.calibrating, len(done.after.scores)) == (1, 21)


def test_an_ensemble_scores_strips_as_the_whole(folder: Path) -> None:
    inspector = kizu.fit(folder, **ENSEMBLE)
    image = parquet(70)
    whole = inspector.detector.score(inspector.embed(image))
    score, anomaly_map = inspector.measure(image)
    assert score == pytest.approx(float(whole.images[0]), rel=1e-6)
    np.testing.assert_allclose(anomaly_map, inspector.map_of(whole.patches[0], (150, 200)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tiles", [{"image_size": 64, "false_alarms": 0.2}, TILES])
def test_an_ensemble_in_an_area(folder: Path, tiles: dict[str, Any]) -> None:
    inspector = kizu.fit(folder, **tiles, detector="ensemble", roi="40,30 180,30 110,140")
    sound, beyond, hit = parquet(70), parquet(70), parquet(70)
    beyond[140:150, 0:10] = 250
    hit[60:70, 100:110] = 250
    scores = [inspector.predict(image).score for image in (sound, beyond, hit)]
    assert scores[1] == scores[0]
    assert scores[2] > scores[0]


def test_images_of_tiles_are_worked_on_one_at_a_time(sampled: kizu.Inspector, folder: Path) -> None:
    """Each of them takes memory in proportion to its size."""
    import threading

    seen = set()
    measure = kizu.Inspector.measure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            kizu.Inspector,
            "measure",
            lambda self, image: (seen.add(threading.current_thread()), measure(self, image))[1],
        )
        list(workflows.predict(sampled, [folder]))
    assert seen == {threading.current_thread()}


def test_tiles_larger_than_the_images_are_doubted(folder: Path) -> None:
    with pytest.warns(KizuWarning, match=r"tiles of 1024 pixels are larger than the images, .* Leave tile_size out"):
        kizu.fit(folder, tile_size=1024, random_tiles=1, image_size=64, false_alarms=0.2)


def test_an_image_of_another_size_is_named_where_positions_count(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / f"{number}.png", tile(number))
    odd = write(tmp_path / "z.png", np.tile(tile(9), (2, 1, 1)))
    said = rf"{odd.name}: is 96 x 192 pixels, those before it 96 x 96, and images are compared position by position"
    for detector in ({"name": "padim", "reduced_dims": 4}, {"name": "patchcore", "robust": True}):
        with pytest.raises(DataError, match=said):
            kizu.fit(tmp_path, tile_size=64, image_size=64, detector=detector)


def of_two_shapes(folder: Path) -> Path:
    """Ten images lying, and two standing."""
    for number in range(12):
        size = (128, 256) if number < 10 else (256, 128)
        write(folder / f"{number:02}.png", parquet(number, *size))
    return folder


@pytest.mark.parametrize("detector", [{"name": "padim", "reduced_dims": 4}, {"name": "patchcore", "robust": True}])
@pytest.mark.parametrize("calibration", ["leave_one_out", "k_fold", "hold_out"])
def test_as_many_patches_elsewhere_are_not_compared(tmp_path: Path, detector: Any, calibration: str) -> None:
    """An area has as many patches in a standing image as in a lying one, but others."""
    settings: dict[str, Any] = {**TILES, "detector": detector, "calibration": calibration, "folds": 2}
    with pytest.raises(DataError, match=r"1[01]\.png: .*128 x 256.*256 x 128"):
        kizu.fit(of_two_shapes(tmp_path), **settings, roi=CORNER)


def test_an_update_refuses_them_too(tmp_path: Path) -> None:
    of_two_shapes(tmp_path / "all")
    for number in (10, 11):
        (tmp_path / "all" / f"{number}.png").rename(tmp_path / f"{number}.png")
    detector = {"name": "padim", "reduced_dims": 4}
    kizu.fit(tmp_path / "all", **TILES, detector=detector, roi=CORNER).save(tmp_path / "a.kizu")
    with pytest.raises(DataError, match=r"10\.png: other patches lie in the inspected area of a 128 x 256 image"):
        workflows.update(tmp_path / "a.kizu", [tmp_path / "10.png"])


def test_proportions_kept_of_images_of_two_shapes_in_an_area(tmp_path: Path) -> None:
    """Left out each, they are scored whole: of each its own patches lie in the area."""
    folder = of_two_shapes(tmp_path / "all")
    for number in range(10, 12):
        write(folder / f"{number}.png", parquet(number, 100, 250))
    settings: dict[str, Any] = {"image_size": 64, "false_alarms": 0.2, "keep_aspect": True}
    inspector = kizu.fit(folder, **settings, roi="0.1,0.1 0.9,0.1 0.1,0.9")
    assert not inspector.frame((100, 250)).alike(inspector.frame((128, 256)))
    assert inspector.calibration is not None
    assert len(inspector.calibration.scores) == 12
    for number in (0, 11):
        fitted_on = inspector.measure(read_image(folder / f"{number:02}.png"))[0]
        assert inspector.calibration.scores[number] > fitted_on * 0.999
    inspector.save(tmp_path / "a.kizu")
    new = [write(tmp_path / "20.png", parquet(20, 128, 256)), write(tmp_path / "21.png", parquet(21, 100, 250))]
    assert workflows.update(tmp_path / "a.kizu", new).calibrating == 2
    with pytest.raises(DataError, match=r"1[01]\.png: .*250 x 100"):
        kizu.fit(folder, **settings, roi="0.1,0.1 0.9,0.1 0.1,0.9", detector={"name": "padim", "reduced_dims": 4})


THIN = "0.40,0.1 0.46,0.1 0.46,0.9 0.40,0.9 0.40,0.5 0.1,0.5 0.1,0.54 0.40,0.54"
"""A cross with thin arms, as fractions."""


@pytest.mark.filterwarnings("ignore:only .* of the inspected area is looked at")
def test_a_small_image_does_not_make_the_area_coarse(tmp_path: Path) -> None:
    for number in range(1, 6):
        write(tmp_path / f"{number}.png", parquet(number))
    expected = area_of(THIN, (150, 200)).mask
    write(tmp_path / "0.png", parquet(0, 12, 16))
    (tmp_path / "6.png").write_bytes(b"no image")
    with pytest.warns(KizuWarning, match=r"skipped .*6\.png"):
        area = kizu.fit(tmp_path, image_size=64, false_alarms=0.2, roi=THIN, skip_unreadable=True).area
    assert area is not None
    np.testing.assert_array_equal(area.mask, expected)


@pytest.mark.parametrize("small", [2, 3])
def test_of_two_sizes_as_frequent_the_larger_draws_the_area(tmp_path: Path, small: int) -> None:
    for number in range(small + 3):
        write(tmp_path / f"{number}.png", parquet(number) if number >= small else parquet(number, 90, 100))
    area = kizu.fit(tmp_path, image_size=64, false_alarms=0.3, roi="0.1,0.1,0.8,0.8").area
    assert area is not None
    assert area.size == (150, 200)


def test_the_first_image_is_the_odd_one_out_too(tmp_path: Path) -> None:
    write(tmp_path / "0.png", parquet(0, 150, 210))
    for number in range(1, 6):
        write(tmp_path / f"{number}.png", parquet(number))
    with pytest.raises(DataError, match=r"0\.png: .* drawn in pixels of 200 x 150 images; this one is 210 x 150"):
        kizu.fit(tmp_path, image_size=64, false_alarms=0.2, roi="20,20,100,100")


@pytest.mark.parametrize("how", [{"calibration": "hold_out"}, {"precision": "int8"}])
def test_an_image_of_another_size_is_named_whatever_it_is_read_for(tmp_path: Path, how: dict[str, Any]) -> None:
    for number in range(12):
        write(tmp_path / f"{number:02}.png", parquet(number))
    for number in range(12):
        odd = write(tmp_path / f"{number:02}.png", parquet(number, 150, 210))
        with pytest.raises(DataError, match=rf"{odd.name}: .* drawn in pixels of 200 x 150"):
            kizu.fit(tmp_path, image_size=64, false_alarms=0.2, roi="20,20,100,100", **how)
        write(odd, parquet(number))


def ring(path: Path, width: int) -> Path:
    rows, columns = np.mgrid[:200, :200] - 99.5
    return write(path, (np.abs(np.hypot(rows, columns) - 80) < width / 2).astype(np.uint8) * 255)


def test_an_area_too_thin_for_patches_is_doubted(tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / f"{number}.png", np.tile(tile(number), (3, 3, 1))[:200, :200])
    settings: dict[str, Any] = {"image_size": 64, "false_alarms": 0.2}
    with pytest.warns(KizuWarning, match=r"only \d+ % of the inspected area is looked at: .* larger --image-size"):
        kizu.fit(tmp_path, roi=str(ring(tmp_path / "area" / "thin.png", 5)), **settings)
    kizu.fit(tmp_path, roi=str(ring(tmp_path / "area" / "wide.png", 40)), **settings)  # warnings are errors
    corners = "10,10 11,10 11,11 10,11 10,10 190,190 191,190 191,191 190,191 190,190"
    with pytest.raises(DataError, match=r"the inspected area is too small to be seen at 64 x 64 pixels"):
        kizu.fit(tmp_path, roi=corners, **settings)
