"""Backbones by name: kizu's own, and those of other packages, by the entry-point group ``kizu.backbones``.

An entry point's value is a `Backbone`::

    [project.entry-points."kizu.backbones"]
    my_net = "my_package:my_net"

Other packages are looked at only when a name is not found or all names are asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, runtime_checkable

from kizu.backbones._card import BackboneCard
from kizu.errors import BackboneError, KizuWarning, unknown_name

GROUP = "kizu.backbones"


@runtime_checkable
class Backbone(Protocol):
    """A pretrained network that can write itself as an ONNX graph."""

    @property
    def card(self) -> BackboneCard:
        """What the backbone is; needs no weights."""
        ...

    def build(self, layers: Sequence[str], image_size: int, patch_stride: int | None) -> bytes:
        """A serialised ONNX model from images to embeddings; the same arguments give the same bytes.

        Its input is ``images``, ``(batch, image_size, image_size, 3)`` uint8 RGB; its output ``embedding``,
        ``(batch, h, w, D)`` float32, the layers side by side in the order given. ``h`` and ``w`` are
        ``image_size / patch_stride``, rounded up; None stands for the stride of the finest layer given.

        Raises:
            BackboneError: a layer does not exist, or the weights are missing or not the expected ones.
            ParameterError: an argument is out of range.
        """
        ...


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


def get(name: str) -> Backbone:
    """The backbone of that name.

    >>> get("efficientnet_lite0").card.layer("blocks.2")
    Layer(name='blocks.2', channels=40, stride=8)

    Raises:
        BackboneError: there is none; the message names the nearest ones.
    """
    if name not in _backbones:
        _load_entry_points()
    if name not in _backbones:
        raise BackboneError(unknown_name("backbone", name, sorted(_backbones)))
    return _backbones[name]


def names() -> tuple[str, ...]:
    """Every known name, sorted; those of other packages included."""
    _load_entry_points()
    return tuple(sorted(_backbones))


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
