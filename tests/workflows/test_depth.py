"""Models of cameras of more than 8 bits: what they find, and that every way to a score is the same."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import kizu
from capabilities import quantises
from kizu import workflows
from kizu.errors import DataError, ImageError, KizuWarning, ParameterError
from kizu.images import Reading, read_image, read_samples
from kizu.workflows import make_report
from workflows.tiles import SMALL, tile

SIDE = 96
SETTINGS: dict[str, Any] = {"image_size": 96, "false_alarms": 0.2, "layers": ["blocks.1", "blocks.2"]}


def texture(seed: int, defect: bool = False) -> np.ndarray:
    """``(96, 96)`` of a camera of 12 bits: a weave of 28 levels about 1000, and a spot of 16 more if asked for.

    In 8 bits by full range all of it is level 4.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    image = 1000 + 14 * np.sin(rows / 3) * np.cos(columns / 5) + rng.normal(0, 4, (SIDE, SIDE))
    if defect:
        row, column = rng.integers(24, SIDE - 24, 2)
        image[(rows - row) ** 2 + (columns - column) ** 2 < 8**2] += 16
    return image.astype(np.uint16)


def save(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of MVTec AD: 24 to fit on, 12 good ones and 12 with a spot to test with."""
    root = tmp_path_factory.mktemp("深さ")
    for number in range(24):
        save(root / "train" / "good" / f"{number:02}.png", texture(number))
    for number in range(12):
        save(root / "test" / "good" / f"{number:02}.png", texture(100 + number))
        save(root / "test" / "斑点" / f"{number:02}.png", texture(200 + number, defect=True))
    return root


@pytest.fixture(scope="module")
def deep(data: Path) -> kizu.Inspector:
    return kizu.fit(data, window="auto", **SETTINGS)


@pytest.mark.filterwarnings("ignore:the model has learnt")
def test_what_8_bits_lose_is_found_with_a_window(data: Path, deep: kizu.Inspector) -> None:
    with pytest.warns(KizuWarning, match=r"these 16-bit images reach 1,0\d\d of 65,535, .* 5 grey levels of 256"):
        shallow = kizu.fit(data, **SETTINGS)
    lost, found = (workflows.evaluate(model, data).image.auroc for model in (shallow, deep))
    assert lost is not None
    assert found is not None
    assert lost == 0.5
    assert found > 0.97


def test_the_window_is_that_of_the_good_images(data: Path, deep: kizu.Inspector) -> None:
    good = [read_samples(path) for path in sorted((data / "train" / "good").iterdir())]
    low, high = np.quantile(np.stack(good), [0.001, 0.999], method="inverted_cdf")
    assert deep.config.window == (low - round((high - low) / 8), high + round((high - low) / 8))
    assert deep.reading == Reading(deep.config.window)


def test_fitting_again_and_loading_give_the_same(data: Path, deep: kizu.Inspector, tmp_path: Path) -> None:
    deep.save(tmp_path / "a.kizu")
    kizu.fit(data, deep.config).save(tmp_path / "b.kizu")
    assert (tmp_path / "a.kizu").read_bytes() == (tmp_path / "b.kizu").read_bytes()
    loaded = kizu.load(tmp_path / "a.kizu")
    path = data / "test" / "斑点" / "03.png"
    assert loaded.predict(path).score == deep.predict(path).score
    assert manifest(tmp_path / "a.kizu")["schema"] == 5


def manifest(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("manifest.json"))


def test_a_model_without_a_window_is_as_it_was(model: Path) -> None:
    """Older kizu must be able to read it."""
    found = manifest(model)
    assert found["schema"] == 4
    assert not {"window", "channels"} & set(found["config"])


def test_files_and_arrays_give_the_same_score(data: Path, deep: kizu.Inspector, tmp_path: Path) -> None:
    image = texture(300, defect=True)
    expected = deep.predict(save(tmp_path / "a.png", image)).score
    assert deep.predict(save(tmp_path / "a.tif", image)).score == expected
    for dtype in (np.uint16, np.float32, np.float64):
        assert deep.inspect(image.astype(dtype)).score == expected
        assert deep.inspect(np.dstack([image] * 3).astype(dtype)).score == expected
    with pytest.raises(ParameterError, match="samples that the window"):
        deep.inspect((image // 16).astype(np.uint8))
    (row,) = workflows.predict(deep, [tmp_path / "a.png"], out=tmp_path / "out")
    assert row.score == expected
    (picture,) = (tmp_path / "out" / "pictures").iterdir()
    assert read_image(picture).std() > 20


def test_nothing_is_rounded_on_the_way(deep: kizu.Inspector) -> None:
    """An embedding is that of the levels, with fractions of them; rounded ones give another."""
    image = np.dstack([texture(300)] * 3)
    levels = deep.reading.levels(image)
    assert np.abs(levels - np.rint(levels)).max() > 0.3
    np.testing.assert_array_equal(deep.embed(image), deep.engine.embed(levels[None]))
    rounded = deep.engine.embed(np.rint(levels)[None])
    assert np.abs(deep.embed(image) - rounded).max() > 1e-3


def test_levels_from_0_to_255_are_8_bit_images(tmp_path: Path) -> None:
    """The path of floats against that of 8 bits: the same where nothing is resized, and near where it is."""
    for number in range(12):
        save(tmp_path / "parts" / f"{number:02}.png", tile(number)[..., ::-1])
    for side, tolerance in ((96, 1e-5), (64, 0.03)):
        given = {**SETTINGS, "image_size": side}
        plain, floats = (kizu.fit(tmp_path / "parts", window=window, **given) for window in (None, (0, 255)))
        for seed in range(100, 106):
            image = tile(seed, scratched=True)
            assert floats.inspect(image).score == pytest.approx(plain.inspect(image).score, rel=tolerance)


def test_8_bit_files_are_refused_by_name(data: Path, deep: kizu.Inspector, tmp_path: Path) -> None:
    path = save(tmp_path / "浅い.png", (texture(1) // 16).astype(np.uint8))
    with pytest.raises(ImageError, match=r"浅い\.png: has samples of 8 bits, too few for the window"):
        deep.predict(path)
    with pytest.warns(KizuWarning, match="skipped"):
        found = list(workflows.predict(deep, [path, data / "test" / "good" / "00.png"], skip_unreadable=True))
    assert len(found) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"detector": {"name": "padim", "reduced_dims": 10}},
        {"tile_size": 64, "image_size": None},
        {"tile_size": 64, "image_size": None, "random_tiles": 2},
        {"roi": "10,10,60,70"},
        {"calibration": "hold_out"},
        {"calibration": "k_fold", "folds": 2},
        {"backbone": "joined:efficientnet_lite0+efficientnet_lite1", "layers": None},
        pytest.param({"precision": "int8"}, marks=quantises),
        {"engine": "openvino"},
    ],
    ids=str,
)
def test_it_goes_with_everything_else(data: Path, more: dict[str, Any], tmp_path: Path) -> None:
    given = {name: value for name, value in {**SETTINGS, **more}.items() if value is not None}
    inspector = kizu.fit(data, window="auto", **given)
    inspector.save(tmp_path / "m.kizu")
    loaded = kizu.load(tmp_path / "m.kizu")
    image = texture(200, defect=True)
    assert loaded.inspect(image).score == pytest.approx(inspector.inspect(image).score, rel=1e-6)
    scores = [loaded.inspect(texture(n, defect=n >= 200)).score for n in (*range(100, 108), *range(200, 208))]
    assert np.median(scores[8:]) > np.median(scores[:8])


def test_a_foreground_of_few_levels_is_found(tmp_path: Path) -> None:
    for number in range(6):
        image = np.random.default_rng(number).normal(300, 2, (120, 160))
        image[30:90, 40:120] += 150
        save(tmp_path / "parts" / f"{number}.png", image.astype(np.uint16))
    inspector = kizu.fit(tmp_path / "parts", window="auto", foreground=True, **SETTINGS)
    assert inspector.area is not None
    assert 0.25 < inspector.area.mask.mean() < 0.5


def test_channels_of_a_file(tmp_path: Path) -> None:
    """A defect in infrared alone, the fourth of four channels."""
    for number in range(24):
        planes = [texture(1000 * (1 + plane) + number) for plane in range(4)]
        save(tmp_path / "train" / "good" / f"{number:02}.tif", np.dstack(planes))
    for number in range(8):
        for kind in ("good", "bad"):
            planes = [texture(2000 * (1 + plane) + number) for plane in range(3)]
            infrared = texture(9000 + number, defect=kind == "bad")
            save(tmp_path / "test" / kind / f"{number}.tif", np.dstack([*planes, infrared]))
    found = {}
    for channels in ((0, 1, 2), (3,), (3, 1, 0)):
        inspector = kizu.fit(tmp_path, window="auto", channels=channels, **SETTINGS)
        assert inspector.reading.channels == channels
        found[channels] = workflows.evaluate(inspector, tmp_path).image.auroc
    assert found[0, 1, 2] is not None
    assert found[0, 1, 2] < 0.8
    assert found[3,] == 1
    assert found[3, 1, 0] is not None
    assert found[3, 1, 0] > 0.9
    with pytest.raises(ImageError, match="has 4 channels, numbered from 0; channel 4 was asked for"):
        kizu.fit(tmp_path, window="auto", channels=(4,), **SETTINGS)
    with pytest.raises(ImageError, match="has 1 channel, numbered from 0; channel 3 was asked for"):
        inspector.predict(save(tmp_path / "grey.tif", texture(0)))


def test_an_update_takes_more_of_them(deep: kizu.Inspector, tmp_path: Path) -> None:
    deep.save(tmp_path / "a.kizu")
    new = [save(tmp_path / "new" / f"{number}.png", texture(400 + number)) for number in range(3)]
    done = workflows.update(tmp_path / "a.kizu", new)
    assert len(done.added) == 3
    assert done.inspector.config.window == deep.config.window
    with pytest.raises(DataError, match="in the model already"):
        workflows.update(tmp_path / "a.kizu", new)


@pytest.mark.filterwarnings("ignore::kizu.KizuWarning")
def test_models_that_read_in_different_ways_are_compared(data: Path, deep: kizu.Inspector, tmp_path: Path) -> None:
    shallow = kizu.fit(data, **SETTINGS)
    alone = [workflows.evaluate(model, data).image.auroc for model in (shallow, deep)]
    found = workflows.compare([shallow, deep], data, out=tmp_path)
    assert [model.image.auroc for model in found.models] == alone
    turned = workflows.compare([deep, shallow], data)
    assert [model.image.auroc for model in turned.models] == alone[::-1]
    assert any((tmp_path / "only_B_right").iterdir())


def test_the_check_says_that_8_bits_are_too_few_and_looks_deeper(data: Path, tmp_path: Path) -> None:
    found = workflows.check(data, out=tmp_path)
    (finding,) = (finding for finding in found.findings if finding.kind == "depth")
    assert finding.severity == "warning"
    assert finding.message.startswith("48 images of 16 bits, which reach 1,0")
    assert "in 8 bits 5 grey levels of 256 are left" in finding.message
    assert "--window auto" in finding.advice
    assert "65,535" in finding.wording.say("ja")
    assert all(read_image(suspect.picture).std() > 20 for suspect in found.suspects if suspect.picture is not None)


@pytest.mark.filterwarnings("ignore:the model has learnt")
def test_a_report_tells_of_depth_only_where_it_is_lost(data: Path, deep: kizu.Inspector, tmp_path: Path) -> None:
    with pytest.warns(KizuWarning, match="16-bit images"):
        shallow = kizu.fit(data, **SETTINGS)
    for name, model in (("shallow", shallow), ("deep", deep)):
        page = make_report(model, data, tmp_path / f"{name}.html").page.read_text(encoding="utf-8")
        assert ("Too few grey levels in 8 bits" in page) == (name == "shallow")


def test_a_report_tells_of_pages_only_where_they_are_not_read(tmp_path: Path) -> None:
    for number in range(24):
        folder = tmp_path / "data" / ("train" if number < 20 else "test") / "good"
        folder.mkdir(parents=True, exist_ok=True)
        pages = [Image.fromarray(tile(seed)[..., 0]) for seed in (number, 100 + number, 200 + number)]
        pages[0].save(folder / f"{number}.tif", save_all=True, append_images=pages[1:])
    for name, channels in (("first", None), ("all", [0, 1, 2])):
        model = kizu.fit(tmp_path / "data", channels=channels, **SETTINGS)
        page = make_report(model, tmp_path / "data", tmp_path / f"{name}.html").page.read_text(encoding="utf-8")
        assert ("24 files of several pages" in page) == (name == "first")


def test_the_check_says_nothing_of_8_bits_or_of_all_16(parts: Path, tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"{number}.png", texture(number) * 16)
    for folder in (parts, tmp_path):
        found = workflows.check(folder, suspects=False)
        assert not [finding for finding in found.findings if finding.kind == "depth"]


def test_what_takes_8_bits_alone_says_so(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="`window` must be left out with --auto"):
        workflows.choose_preset(data, kizu.Config(window="auto"))
    with pytest.warns(KizuWarning, match="the test images with defects are written in 8"):
        workflows.synthesise(data, tmp_path / "drawn")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"window": "wide"}, "`window`: write auto, or two samples such as 0,4095; got 'wide'"),
        ({"window": [0, 1, 2]}, "write auto, or two samples such as 0,4095"),
        ({"window": "4095,0"}, "the first sample must be below the second"),
        ({"window": [0, float("nan")]}, "the first sample must be below the second"),
        ({"channels": "0,1"}, "write one number or three from 0 to 1023, such as 0,1,2; got '0,1'"),
        ({"channels": [-1]}, "write one number or three from 0 to 1023"),
        ({"channels": "red"}, "write one number or three from 0 to 1023"),
    ],
)
def test_settings_that_cannot_be(parts: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError) as error:
        kizu.fit(parts, **SMALL, **given)
    assert said in str(error.value)


@pytest.mark.parametrize("window", [(0.0, 255.0), (60000.0, 65000.0)])
def test_a_window_that_most_samples_lie_outside_of_is_doubted(data: Path, window: tuple[float, float]) -> None:
    said = r"100 % of the samples of these images lie outside the window .* black or white: .* Fit with --window auto"
    with pytest.warns(KizuWarning, match=said):
        kizu.fit(data, window=window, **SETTINGS)


def test_a_background_may_be_cut_off(tmp_path: Path) -> None:
    for number in range(12):
        image = texture(number)
        image[:20] = 100
        save(tmp_path / f"{number}.png", image)
    kizu.fit(tmp_path, window=(900.0, 1100.0), **SETTINGS)  # warnings are errors here
