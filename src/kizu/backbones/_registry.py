"""Backbones by name: kizu's own, those of other packages, and those that a source makes from a reference.

A source is what stands before a colon: ``torchvision:convnext_tiny``, ``timm:vit_small_patch16_224``,
``onnx:net.onnx``, ``joined:efficientnet_lite0+efficientnet_lite2``.
Other packages bring backbones by the entry-point group ``kizu.backbones``; an entry point's value is a `Backbone`::

    [project.entry-points."kizu.backbones"]
    my_net = "my_package:my_net"

Other packages are looked at only when a name is not found or all names are asked for.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, runtime_checkable

from kizu.backbones._card import BackboneCard
from kizu.backbones.weights._files import WeightFile
from kizu.errors import BackboneError, KizuWarning, ParameterError, unknown_name
from kizu.progress import Progress

GROUP = "kizu.backbones"

SOURCES = {
    "torchvision": "kizu.backbones.torchvision_models",
    "timm": "kizu.backbones.timm_models",
    "onnx": "kizu.backbones.onnx_file",
    "joined": "kizu.backbones.joined",
}
"""Modules with a function ``find(reference, *, weights, mean, std) -> Backbone``, by the word before the colon."""


@runtime_checkable
class Backbone(Protocol):
    """A pretrained network that can write itself as an ONNX graph."""

    @property
    def card(self) -> BackboneCard:
        """What the backbone is; needs no weights."""
        ...

    def build(self, layers: Sequence[str], image_size: int) -> bytes:
        """A serialised ONNX model from images to feature maps; the same arguments give the same bytes.

        Its input is ``images``, ``(batch, image_size, image_size, 3)`` uint8 RGB; normalisation is a part of it, and
        begins with a cast to float32, so that levels can come as float32 too (`embedding_graph`). Its
        outputs are the maps, ``(batch, channels, n, n)`` float32 with fixed numbers but for the batch, named as the
        layers and in the order given.

        Raises:
            BackboneError: a layer does not exist, or the weights are missing or not the expected ones.
            ParameterError: an argument is out of range.
        """
        ...


@runtime_checkable
class Weighted(Backbone, Protocol):
    """A backbone whose weights can be chosen."""

    def with_weights(self, weights: str) -> Backbone:
        """This backbone with the weights of a file, or ``none``: random ones, always the same.

        Raises `BackboneError` when the file is missing; one that holds no weights of this network is seen by `build`.
        """
        ...


@runtime_checkable
class Preparable(Backbone, Protocol):
    """A backbone that has to fetch or make something before it can be built."""

    def prepared(self, progress: Progress) -> Backbone:
        """This backbone with all it needs on this machine; its card's ``sha256`` is that of the whole file.

        Raises `BackboneError` when something cannot be had, `OutputError` when it cannot be kept.
        """
        ...


@runtime_checkable
class Located(Backbone, Protocol):
    """A backbone that knows where its weights are."""

    def weight_file(self) -> WeightFile:
        """Where they are; nothing is downloaded or run."""
        ...


def prepare(backbone: Backbone, progress: Progress) -> Backbone:
    """``backbone`` with all it needs on this machine, so that building it takes no network.

    Raises as `Preparable.prepared` does.
    """
    return backbone.prepared(progress) if isinstance(backbone, Preparable) else backbone


_backbones: dict[str, Backbone] = {}
_seen: set[tuple[str, str]] = set()


def register(backbone: Backbone) -> None:
    """Make a backbone known under its card's name.

    Raises:
        BackboneError: the name is taken.
    """
    name = backbone.card.name
    if name in _backbones:
        raise BackboneError(f"a backbone named {name!r} is already registered; give this one another name.")
    _backbones[name] = backbone


def get(
    name: str,
    *,
    weights: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Backbone:
    """The backbone of that name or reference.

    ``weights`` is a file, ``none`` for random ones, or None for the publisher's. ``mean`` and ``std`` are those of
    the three channels, on 0 to 1, for an ONNX file that does not say them itself.

    >>> get("efficientnet_lite0").card.layer("blocks.2")
    Layer(name='blocks.2', channels=40, stride=8)

    Raises:
        BackboneError: there is none; the message names the nearest ones.
        ParameterError: it takes no weights, or no mean and std.
        MissingExtraError: the source needs a package that is not installed.
    """
    source, colon, reference = name.partition(":")
    if colon and source in SOURCES:
        found: Backbone = import_module(SOURCES[source]).find(reference, weights=weights, mean=mean, std=std)
        return found
    if mean is not None or std is not None:
        raise ParameterError(
            f"`mean` and `std` are for `onnx:FILE`; {name} normalises its input itself. Leave them out."
        )
    backbone = _named(name)
    if weights is None:
        return backbone
    if not isinstance(backbone, Weighted):
        raise ParameterError(f"{name} brings its own weights; leave `weights` out.")
    return backbone.with_weights(weights)


def _named(name: str) -> Backbone:
    if name not in _backbones:
        _load_entry_points()
    if name not in _backbones:
        known = [*sorted(_backbones), *(f"{source}:…" for source in SOURCES)]
        raise BackboneError(unknown_name("backbone", name, known))
    return _backbones[name]


def names() -> tuple[str, ...]:
    """Every known name, sorted, ``resnet18`` before ``resnet101``; those of other packages included."""
    _load_entry_points()
    return tuple(sorted(_backbones, key=_in_order))


def _in_order(name: str) -> list[tuple[int, str]]:
    """A key that puts numbers in a name in the order of their size."""
    return [(int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)]


def _load_entry_points() -> None:
    for point in entry_points(group=GROUP):
        if (point.name, point.value) not in _seen:
            _seen.add((point.name, point.value))
            _load(point)


def _load(point: EntryPoint) -> None:
    """Register what an entry point holds; one that is broken must not take the others down with it."""
    try:
        backbone = point.load()
        if not isinstance(backbone, Backbone):
            raise BackboneError(f"its value is a {type(backbone).__name__}, not a backbone.")
        if all(backbone is not known for known in _backbones.values()):
            register(backbone)
    except Exception as error:
        text = f"the backbone {point.name!r} ({point.value}) of another package was left out: {error}"
        warnings.warn(text, KizuWarning, stacklevel=2)
