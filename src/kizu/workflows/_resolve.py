"""From what a user said to a complete configuration."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from kizu import backbones, detectors, images, maps
from kizu.config import Config, DetectorConfig
from kizu.defaults import defaults_for
from kizu.errors import bad_parameter
from kizu.presets import applied
from kizu.workflows._area import check_roi
from kizu.workflows._tiles import resolve_tiles
from kizu.workflows._window import check_reading


def backbone_of(config: Config) -> backbones.Backbone:
    """The backbone a configuration names. Raises as `kizu.backbones.get` does."""
    return backbones.get(config.backbone, weights=config.weights, mean=config.mean, std=config.std)


def resolve(config: Config) -> Config:
    """``config`` with nothing left open: what the user gave, then its preset, then `kizu.defaults`, then backbone and
    detector.

    Raises `BackboneError` or `ParameterError` for a name, layer or parameter that does not exist or is out of
    range, before any image is read.
    """
    config = applied(config)
    card = backbone_of(config).card
    table = defaults_for(config.detector.name, config.backbone)
    given = {name: getattr(config, name) for name in config.model_fields_set}
    parameters = {**table.parameters, **config.detector.parameters}
    values: dict[str, Any] = {**table.settings, **given}
    if config.layers and "groups" not in given:
        values.pop("groups", None)  # the table's are of its own layers
    values["layers"] = config.layers or table.layers or card.default_layers
    if values.get("groups") is not None:
        parameters["parts"] = _parts(values["groups"], values["layers"], card, config)
    detector = detectors.build(config.detector.name, parameters)
    if "patch_stride" not in values:
        values["patch_stride"] = card.default_patch_stride
    tiles = resolve_tiles(config, card, values["layers"], values["patch_stride"], detector)
    values["image_size"] = config.image_size or card.default_image_size
    values |= tiles
    images.Preprocessing(values["image_size"], config.resize, config.keep_aspect)  # says what is wrong with them
    check_reading(config)
    if config.sigma is None:
        values["sigma"] = maps.default_sigma(card.default_image_size if tiles else values["image_size"])
    if config.roi is not None:
        check_roi(config.roi)
    values["detector"] = DetectorConfig(name=detector.name, **detector.parameters())
    values["calibration"] = _calibration(config, detector)
    if config.sigma is not None and config.sigma > values["image_size"]:
        raise bad_parameter("sigma", f"at most image_size, {values['image_size']} pixels", config.sigma)
    complete = Config(**{**config.model_dump(exclude={"detector"}), **values})
    card.check(complete.layers or (), values["image_size"], complete.patch_stride)
    return complete


def _parts(
    groups: Sequence[Sequence[str]], layers: Sequence[str], card: backbones.BackboneCard, config: Config
) -> list[list[int]]:
    """The channels of each group: the first, and the one behind the last."""
    if "parts" not in detectors.detector_class(config.detector.name).defaults():
        hint = "Use --detector ensemble."
        raise bad_parameter("groups", f"null for the detector {config.detector.name}", groups, hint)
    if config.embedding_dims is not None:
        raise bad_parameter("groups", "null where embedding_dims mixes the layers", groups)
    ends = list(accumulate((layer.channels for layer in card.check(layers, card.default_image_size)), initial=0))
    parts = []
    for group in groups:
        first = layers.index(group[0]) if group and group[0] in layers else len(layers)
        if not group or tuple(layers[first : first + len(group)]) != tuple(group):
            known = ", ".join(layers)
            raise bad_parameter("groups", f"runs of neighbouring layers out of {known}", [list(g) for g in groups])
        parts.append([ends[first], ends[first + len(group)]])
    return parts


def _calibration(config: Config, detector: detectors.Detector) -> str:
    if config.calibration == "leave_one_out" and not detector.leaves_one_out:
        hint = "Use k_fold or hold_out."
        raise bad_parameter("calibration", f"something {detector.name} can do", config.calibration, hint)
    able = detector.leaves_one_out_later if config.random_tiles else detector.leaves_one_out
    if config.calibration == "leave_one_out" and not able:
        hint = "Its images cannot be left out of a fit on parts of them. Use k_fold or hold_out."
        raise bad_parameter("calibration", f"something {detector.name} can do", config.calibration, hint)
    return config.calibration or ("leave_one_out" if able else "hold_out")
