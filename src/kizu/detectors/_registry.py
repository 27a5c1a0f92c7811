"""Detectors by name: kizu's own, and those of other packages (entry-point group ``kizu.detectors``)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from kizu.detectors._base import Array, Detector
from kizu.errors import KizuWarning, ParameterError, unknown_name

ENTRY_POINTS = "kizu.detectors"

_BUILT_IN = {
    "ensemble": "kizu.detectors.ensemble:Ensemble",
    "patchcore": "kizu.detectors.patchcore:PatchCore",
    "padim": "kizu.detectors.padim:PaDiM",
}
_registered: dict[str, type[Detector]] = {}
_looked_at: set[str] = set()


def register(detector: type[Detector]) -> type[Detector]:
    """Make a detector known under its ``name``; also usable as a class decorator. A taken name raises."""
    if detector.name in _BUILT_IN or detector.name in _registered:
        raise ParameterError(f"a detector named {detector.name!r} exists already; give yours another name.")
    _registered[detector.name] = detector
    return detector


def names() -> list[str]:
    """Every detector that can be named."""
    return sorted({*_BUILT_IN, *_registered, *(point.name for point in entry_points(group=ENTRY_POINTS))})


def detector_class(name: str) -> type[Detector]:
    """The class behind a name. Raises `ParameterError`, with the nearest names, when there is none."""
    if name in _registered:
        return _registered[name]
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        built_in: type[Detector] = getattr(import_module(module), attribute)
        return built_in
    points = tuple(entry_points(group=ENTRY_POINTS, name=name))
    if not points:
        raise ParameterError(unknown_name("detector", name, names()))
    if len(points) > 1:
        raise ParameterError(f"{len(points)} packages offer a detector named {name!r}; uninstall all but one.")
    return _load(points[0])


def _load(point: EntryPoint) -> type[Detector]:
    """The class a package announces. Raises `ParameterError` when the package is broken."""
    try:
        loaded = point.load()
    except Exception as error:
        raise ParameterError(
            f"the detector {point.name!r} ({point.value}) cannot be loaded: {error}; mend or uninstall its package."
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Detector)):
        raise ParameterError(f"{point.value} is no detector; mend or uninstall its package.")
    _check_class(point, loaded)
    return loaded


def _check_class(point: EntryPoint, found: type[Detector]) -> None:
    begin = f"the detector {point.name!r} ({point.value})"
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    missing += [name for name in ("name", "min_images") if not hasattr(found, name)]
    if missing:
        raise ParameterError(f"{begin} lacks {', '.join(missing)}; mend or uninstall its package.")
    if found.name != point.name:
        raise ParameterError(
            f"{begin} calls itself {found.name!r}: models would ask for that. Its package must give both one name; "
            "mend or uninstall it."
        )


def build(name: str, parameters: Mapping[str, Any]) -> Detector:
    """A detector with checked parameters. Raises `ParameterError` for an unknown or impossible one.

    Warns of a package whose detector is left out because one of kizu's own has that name.
    """
    _warn_of_shadowed(name)
    detector = _with_known(name, parameters)(**parameters)
    detector.check()
    return detector


def _with_known(name: str, parameters: Mapping[str, Any]) -> type[Detector]:
    cls = detector_class(name)
    for key in parameters:
        if key not in cls.defaults():
            raise ParameterError(unknown_name(f"parameter of {name}", key, cls.defaults()))
    return cls


def _warn_of_shadowed(name: str) -> None:
    if name not in _BUILT_IN or name in _looked_at:
        return
    _looked_at.add(name)
    for point in entry_points(group=ENTRY_POINTS, name=name):
        warnings.warn(
            f"the detector {name!r} ({point.value}) of another package was left out: kizu has one of that name. It "
            "needs another name.",
            KizuWarning,
            stacklevel=3,
        )


def restore(name: str, parameters: Mapping[str, Any], state: Mapping[str, Array]) -> Detector:
    """A fitted detector from what a model file holds. Raises `ParameterError` for an unknown parameter."""
    return _with_known(name, parameters).from_state(parameters, state)
