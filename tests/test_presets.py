"""Presets: what each says, how it lies beneath what a user says, and that it fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import kizu
from kizu import presets
from kizu.config import Config, parse
from kizu.errors import BackboneError, ParameterError
from kizu.images import Preprocessing
from kizu.workflows._resolve import backbone_of, resolve
from workflows.tiles import SMALL, tile

ALL = ("accurate", "lite", "lite-fast", "padim-resnet18", "padim-wrn50", "patchcore-paper", "patchcore-walkthrough")
OF_THE_USER = {"preset", "seed", "engine", "precision", "providers", "check_images"}
OF_THE_USER |= {"false_alarms", "review_budget", "calibration", "hold_out", "folds", "memory"}
OF_THE_USER |= {"tile_size", "tile_stride", "tile_border", "tile_lattice", "random_tiles", "roi", "foreground"}
OF_THE_USER |= {"window", "channels", "reduced_jpeg"}

PAPERS: dict[str, dict[str, Any]] = {
    "patchcore-paper": {
        "backbone": "wide_resnet50_2",
        "layers": ("layer2", "layer3"),
        "resize": 256,
        "keep_aspect": True,
        "image_size": 224,
        "patch_stride": None,
        "interpolation": "bilinear",
        "embedding_dims": 1024,
        "sigma": 4.0,
        "detector": {"name": "patchcore", "coreset_ratio": 0.1, "projection_dim": 128, "reweight": False},
    },
    "patchcore-walkthrough": {
        "backbone": "wide_resnet50_2",
        "layers": ("layer2", "layer3"),
        "resize": 256,
        "keep_aspect": False,
        "image_size": 254,
        "patch_stride": None,
        "interpolation": "nearest",
        "embedding_dims": None,
        "sigma": 4.0,
        "detector": {
            "name": "patchcore",
            "coreset_ratio": 0.001,
            "coreset_start": "first",
            "projection": "sparse",
            "projection_eps": 0.9,
            "reweight": "walkthrough",
            "reweight_neighbors": 9,
        },
    },
    "padim-resnet18": {
        "backbone": "resnet18",
        "layers": ("layer1", "layer2", "layer3"),
        "resize": 256,
        "keep_aspect": True,
        "image_size": 224,
        "patch_stride": None,
        "detector": {"name": "padim", "reduced_dims": 100, "regularisation": 0.01},
    },
    "padim-wrn50": {
        "backbone": "wide_resnet50_2",
        "layers": ("layer1", "layer2", "layer3"),
        "image_size": 224,
        "patch_stride": None,
        "detector": {"name": "padim", "reduced_dims": 550, "regularisation": 0.01},
    },
}


def test_the_presets() -> None:
    assert presets.names() == ALL


@pytest.mark.parametrize("name", ALL)
def test_each_says_what_it_is_and_sets_everything_but_what_is_the_users(name: str) -> None:
    text = presets.text(name)
    assert presets.title(name).endswith(".")
    assert text.startswith(f"# {presets.title(name)}\n#\n# Source ")
    for subject in ("Choose it", "Costs"):
        assert f"\n# {subject} " in text
    assert max(map(len, text.splitlines())) <= 120
    given = presets.settings(name)
    assert OF_THE_USER.isdisjoint(given)
    assert set(Config.model_fields) - set(given) <= OF_THE_USER | {"weights", "mean", "std", "groups"}
    resolve(Config(preset=name))


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_values(name: str) -> None:
    complete = resolve(Config(preset=name, weights="none"))
    for key, value in PAPERS[name].items():
        if key != "detector":
            assert getattr(complete, key) == value, key
    assert PAPERS[name]["detector"].items() <= complete.detector.model_dump().items()


@pytest.mark.parametrize(("name", "channels"), [("padim-resnet18", 448), ("padim-wrn50", 1792)])
def test_padims_channels_are_those_of_its_paper(name: str, channels: int) -> None:
    complete = resolve(Config(preset=name))
    card = backbone_of(complete).card
    assert sum(card.layer(layer).channels for layer in complete.layers or ()) == channels


@pytest.mark.parametrize("name", ["padim-resnet18", "padim-wrn50"])
def test_padim_presets_agree_with_the_defaults_on_their_backbones(name: str) -> None:
    preset = resolve(Config(preset=name))
    plain = resolve(Config(detector={"name": "padim"}, backbone=preset.backbone))  # type: ignore[arg-type]
    assert (preset.layers, preset.patch_stride) == (plain.layers, plain.patch_stride)
    assert preset.detector == plain.detector


def test_lite_is_the_default_spelled_out() -> None:
    assert resolve(Config(preset="lite")).model_copy(update={"preset": None}) == resolve(Config())


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ParameterError) as caught:
        resolve(Config(preset="padim-resnet"))
    assert str(caught.value).startswith("unknown preset 'padim-resnet'. Did you mean 'padim-resnet18'")
    for odd in ("../config", "lite.yaml", ""):
        with pytest.raises(ParameterError, match="unknown preset"):
            presets.text(odd)


def applied(**given: Any) -> dict[str, Any]:
    return presets.applied(parse(given)).model_dump(exclude_unset=True)


def test_what_the_user_says_wins() -> None:
    found = applied(preset="patchcore-paper", image_size=128, resize=None, layers=["layer1"], sigma=2.0, seed=5)
    assert (found["image_size"], found["resize"], found["layers"], found["sigma"]) == (128, None, ("layer1",), 2.0)
    assert (found["seed"], found["keep_aspect"], found["embedding_dims"]) == (5, True, 1024)
    assert found["detector"]["coreset_ratio"] == 0.1


@pytest.mark.parametrize("name", ["patchcore", None])
def test_parameters_of_the_same_detector_are_added_to_the_presets(name: str | None) -> None:
    given = {"coreset_ratio": 0.05} if name is None else {"name": name, "coreset_ratio": 0.05}
    found = applied(preset="patchcore-paper", detector=given)["detector"]
    assert (found["name"], found["coreset_ratio"], found["projection_dim"]) == ("patchcore", 0.05, 128)


def test_a_parameter_alone_is_one_of_the_presets_detector() -> None:
    found = resolve(parse({"preset": "padim-resnet18", "detector": {"reduced_dims": 50}}))
    assert (found.detector.name, found.detector.parameters["reduced_dims"]) == ("padim", 50)


def test_another_detector_leaves_the_presets_parameters_behind() -> None:
    found = resolve(parse({"preset": "patchcore-paper", "detector": "padim"}))
    assert found.detector.parameters == {"reduced_dims": 550, "regularisation": 0.01, "robust": False}
    assert (found.backbone, found.layers, found.image_size) == ("wide_resnet50_2", ("layer2", "layer3"), 224)


def test_another_backbone_leaves_layers_and_channels_behind() -> None:
    found = resolve(parse({"preset": "padim-wrn50", "backbone": "resnet18"}))
    assert found == resolve(Config(preset="padim-resnet18")).model_copy(update={"preset": "padim-wrn50"})
    lite = resolve(parse({"preset": "patchcore-paper", "backbone": "efficientnet_lite0"}))
    assert lite.layers == ("blocks.1", "blocks.2", "blocks.4", "blocks.5")
    assert (lite.patch_stride, lite.resize, lite.image_size, lite.embedding_dims) == (None, 256, 224, 1024)
    assert applied(preset="lite", backbone="resnet18").keys().isdisjoint({"layers", "patch_stride"})
    with pytest.raises(BackboneError, match="unknown layer 'layer2'"):
        resolve(parse({"preset": "patchcore-paper", "backbone": "efficientnet_lite0", "layers": ["layer2"]}))


def test_groups_are_of_the_presets_layers_and_detector() -> None:
    assert len(resolve(Config(preset="accurate")).groups or ()) == 4
    for given in ({"detector": "padim"}, {"backbone": "resnet18"}, {"layers": ["efficientnet_lite2/blocks.2"]}):
        assert resolve(parse({"preset": "accurate", **given})).groups is None


@pytest.mark.parametrize("given", [{}, {"detector": "padim"}, {"backbone": "resnet18"}, {"seed": 3}])
@pytest.mark.parametrize("name", ALL)
def test_a_complete_configuration_stays_as_it_is(name: str, given: dict[str, Any]) -> None:
    complete = resolve(parse({"preset": name, **given}))
    assert resolve(complete) == complete


SMALLER: dict[str, dict[str, Any]] = {
    "patchcore-paper": {"resize": 72, "image_size": 64},
    "patchcore-walkthrough": {"resize": 72, "image_size": 70},
    "padim-resnet18": {"resize": 72, "image_size": 64, "detector": {"reduced_dims": 10}},
    "padim-wrn50": {"resize": 72, "image_size": 64, "detector": {"reduced_dims": 12}},
}


@pytest.mark.parametrize("name", ALL)
def test_each_fits_and_finds_a_scratch(parts: Path, tmp_path: Path, name: str) -> None:
    """Networks that would be downloaded with random weights, and smaller, for time."""
    given: dict[str, Any] = {**SMALLER[name], "weights": "none"} if name in SMALLER else {"image_size": 64}
    path = tmp_path / f"{name}.kizu"
    kizu.fit(parts, preset=name, false_alarms=0.2, **given).save(path)
    inspector = kizu.load(path)
    assert inspector.config.preset == inspector.provenance["preset"] == name
    if inspector.config.embedding_dims is not None:
        assert inspector.engine.channels == inspector.config.embedding_dims
    good = [inspector.predict(tile(number)) for number in range(200, 206)]
    bad = [inspector.predict(tile(number, scratched=True)) for number in range(200, 206)]
    assert min(found.anomaly_map.max() for found in bad) > max(found.anomaly_map.max() for found in good)
    if name != "patchcore-walkthrough":  # its weight is 0 where nine distances differ by more than a few units
        assert min(found.score for found in bad) > max(found.score for found in good)


def test_a_config_that_was_written_down_gives_the_same_model(parts: Path, tmp_path: Path) -> None:
    kizu.fit(parts, preset="lite-fast", **SMALL).save(tmp_path / "a.kizu")
    kizu.fit(parts, kizu.load(tmp_path / "a.kizu").config).save(tmp_path / "b.kizu")
    assert (tmp_path / "a.kizu").read_bytes() == (tmp_path / "b.kizu").read_bytes()


def test_what_a_preset_cuts_off_is_what_it_says() -> None:
    for name, share in (("patchcore-paper", 224 / 256), ("patchcore-walkthrough", 254 / 256)):
        complete = resolve(Config(preset=name))
        seen = Preprocessing(complete.image_size or 0, complete.resize, complete.keep_aspect).seen((1024, 1024))
        assert (seen.height / 1024, seen.width / 1024) == pytest.approx((share, share), abs=1e-3)
        words = " ".join(presets.text(name).replace("#", " ").split())
        assert f"What is outside the middle {complete.image_size} of 256 pixels is not inspected." in words
