"""What is known of a backbone before its weights are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kizu.errors import BackboneError, ParameterError, bad_parameter, unknown_name

MIN_IMAGE_SIZE = 32
MAX_IMAGE_SIZE = 8192


@dataclass(frozen=True)
class Layer:
    """A named feature map: ``channels`` values at every ``stride``-th pixel of the image."""

    name: str
    channels: int
    stride: int


@dataclass(frozen=True)
class BackboneCard:
    """What a backbone is, where it comes from and what it expects.

    ``layers`` run from the input to the output of the network. ``default_image_size`` and ``default_patch_stride``
    are in pixels (None: the stride of the finest layer chosen). ``weights`` is a package requirement, a URL or a
    path, ``sha256`` the checksum of the weight file in lower-case hexadecimal digits, or as much of its beginning
    as is published. ``preprocessing`` says what the graph does to a uint8 RGB image before the first convolution.
    """

    name: str
    layers: tuple[Layer, ...]
    default_layers: tuple[str, ...]
    default_image_size: int
    licence: str
    weights: str
    sha256: str
    preprocessing: str
    description: str
    default_patch_stride: int | None = 8

    def layer(self, name: str) -> Layer:
        """The layer of that name.

        Raises:
            BackboneError: there is none; the message names the nearest ones.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = [layer.name for layer in self.layers]
        raise BackboneError(f"{self.name}: {unknown_name('layer', name, known)}")

    def check(self, layers: Sequence[str], image_size: int, patch_stride: int | None = None) -> tuple[Layer, ...]:
        """The layers asked for, in that order, once all arguments of `embedding_graph` are seen to be right.

        Raises:
            BackboneError: a layer does not exist.
            ParameterError: no layer or one layer twice; an image size or a patch stride out of range.
        """
        if isinstance(layers, str) or not layers:
            raise bad_parameter("layers", "a list of one or more layer names", layers)
        wanted = tuple(self.layer(name) for name in layers)
        if len(set(layers)) < len(layers):
            raise bad_parameter("layers", "different names", list(layers), "Name each layer once.")
        _check_image_size(image_size)
        self._check_patch_stride(patch_stride)
        return wanted

    def _check_patch_stride(self, patch_stride: int | None) -> None:
        strides = sorted({layer.stride for layer in self.layers})
        if patch_stride is not None and patch_stride not in strides:
            known = ", ".join(str(stride) for stride in strides)
            raise bad_parameter("patch_stride", f"the stride of a layer of {self.name} ({known})", patch_stride)


def _check_image_size(image_size: int) -> None:
    whole = isinstance(image_size, int) and not isinstance(image_size, bool)
    if not whole or not MIN_IMAGE_SIZE <= image_size <= MAX_IMAGE_SIZE:
        raise _image_size_error(image_size)


def _image_size_error(image_size: object) -> ParameterError:
    expected = f"a whole number of pixels from {MIN_IMAGE_SIZE} to {MAX_IMAGE_SIZE}"
    return bad_parameter("image_size", expected, image_size)
