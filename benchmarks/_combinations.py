"""What ``quality.py`` compares: presets, and detectors on backbones; what cannot be is left out with a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import _results
from kizu import detectors, presets
from kizu.config import parse
from kizu.errors import BackboneError, KizuError
from kizu.workflows import describe_backbone, list_backbones
from kizu.workflows._resolve import resolve

ALL = "all"
MAIN = ("lite-fast", "lite", "accurate")
"""Presets that are compared unless others are named."""


@dataclass(frozen=True)
class Combination:
    """``settings`` as a user gives them to `kizu.fit`; ``resolved`` is all that becomes of them, the same for equal
    fits. ``preset`` is empty for a detector on a backbone with default settings.
    """

    preset: str
    detector: str
    backbone: str
    image_size: int
    settings: Mapping[str, Any]
    resolved: str

    def __str__(self) -> str:
        return self.preset or f"{self.detector} on {self.backbone}"

    def columns(self) -> dict[str, _results.Value]:
        """What names it in the results."""
        names = ("preset", "detector", "backbone", "image_size")
        return {name: getattr(self, name) for name in names}


def chosen(
    wanted: Sequence[str], with_detectors: Sequence[str], on: Sequence[str] | None, sizes: Sequence[int] = ()
) -> list[list[Combination]]:
    """Presets, then every detector on every backbone; those that are one and the same fit lie in one list.

    ``on``: names of backbones; None: those of the presets. ``sizes``: of images; none: each combination's own.
    Raises `KizuError` for a name that does not exist.
    """
    own = [{"image_size": size} for size in sizes] or [{}]
    of_presets = list(_possible({"preset": name, **size} for name in _presets(wanted) for size in own))
    found = [
        *of_presets,
        *_possible(
            {"detector": detector, "backbone": backbone, **size}
            for backbone in _backbones(on, of_presets)
            for detector in _detectors(with_detectors)
            for size in own
        ),
    ]
    groups: dict[str, list[Combination]] = {}
    for one in found:
        groups.setdefault(one.resolved, []).append(one)
    return list(groups.values())


def _presets(wanted: Sequence[str]) -> Sequence[str]:
    names = presets.names() if ALL in wanted else list(dict.fromkeys(wanted))
    for name in names:
        presets.settings(name)
    return names


def _detectors(wanted: Sequence[str]) -> Sequence[str]:
    names = detectors.names() if ALL in wanted else list(dict.fromkeys(wanted))
    for name in names:
        detectors.detector_class(name)
    return names


def _backbones(wanted: Sequence[str] | None, of_presets: Iterable[Combination]) -> Sequence[str]:
    """Of ``all``: every one whose weights are here, and those that presets join of them."""
    if wanted is None:
        return list(dict.fromkeys(one.backbone for one in of_presets)) or [
            parse({}, "benchmarks/quality.py").backbone
        ]
    names = [name for name in wanted if name != ALL]
    if ALL in wanted:
        here = [state.card.name for state in list_backbones() if not state.obtain]
        joined = [str(presets.settings(name)["backbone"]) for name in presets.names()]
        names += [*here, *(name for name in joined if ":" in name and not describe_backbone(name).obtain)]
    return [describe_backbone(name).card.name for name in dict.fromkeys(names)]


def _possible(settings: Iterable[dict[str, Any]]) -> Iterator[Combination]:
    """Those that can be fitted here; of the others, why not."""
    for given in settings:
        label = given.get("preset") or f"{given['detector']} on {given['backbone']}"
        try:
            yield _combination(given)
        except KizuError as error:
            _results.note(f"left out: {label}: {error}")


def _combination(given: dict[str, Any]) -> Combination:
    complete = resolve(parse(given, "benchmarks/quality.py"))
    state = describe_backbone(complete.backbone)
    if state.obtain:
        raise BackboneError(f"the weights of {complete.backbone} are not here ({state.state}). Run: {state.obtain}")
    return Combination(
        preset=given.get("preset", ""),
        detector=complete.detector.name,
        backbone=complete.backbone,
        image_size=complete.image_size or 0,
        settings=given,
        resolved=json.dumps(complete.model_dump(mode="json", exclude={"preset"}), sort_keys=True),
    )
