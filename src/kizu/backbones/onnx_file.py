"""Any ONNX file as a backbone: ``onnx:FILE``; its layers are the names of tensors inside it.

The network takes one float image in three channels, first or last, of a fixed or an open size. Its channels' mean and
standard deviation, and the size it was trained at, are given, or stand in the file's ``metadata_props`` under
``mean``, ``std`` and ``image_size``: numbers on 0 to 1 with commas or as a JSON list, and a whole number of pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kizu.backbones._card import BackboneCard
from kizu.backbones.weights._files import WeightFile
from kizu.errors import ParameterError

if TYPE_CHECKING:
    from kizu.backbones.foreign._forms import Convention
    from kizu.backbones.foreign._normalisation import Normalisation


@dataclass(frozen=True)
class OnnxFile:
    """A file, how its images are normalised, and how its maps are to be read."""

    card: BackboneCard
    path: Path
    normalisation: Normalisation | None
    convention: Convention

    def build(self, layers: Sequence[str], image_size: int) -> bytes:
        """See `Backbone.build`; the graph is compared with the file's own tensors before it is returned.

        Raises:
            ParameterError: neither arguments nor file say mean and std.
        """
        self.card.check(layers, image_size)
        from kizu.backbones.foreign import _metadata, _onnx_network, _rebuilding

        if self.normalisation is None:
            raise _metadata.unknown(self.path)
        network = replace(_onnx_network.read(self.path), convention=self.convention)
        return _rebuilding.rebuilt(network, layers, image_size, self.normalisation, self.card.name)

    def weight_file(self) -> WeightFile:
        """See `Located.weight_file`."""
        return WeightFile(self.path, "", "", self.path.stat().st_size)


def find(
    reference: str,
    *,
    weights: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> OnnxFile:
    """The backbone in the file ``reference``.

    Raises:
        BackboneError: the file cannot be read, or holds no network of images that ONNX Runtime can run.
        ParameterError: weights are given, or mean or std are none that images have.
    """
    if weights is not None:
        raise ParameterError(f"onnx:{reference} brings its own weights; leave `weights` out.")
    from kizu.backbones.foreign import _onnx_network

    path = Path(reference).expanduser()
    state = _onnx_network.stat(path)
    given = [None if numbers is None else tuple(map(float, numbers)) for numbers in (mean, std)]
    return _found(reference, path, given[0], given[1], (state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=8)
def _found(
    reference: str,
    path: Path,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    _state: tuple[int, int],
) -> OnnxFile:
    """One fit asks for its backbone several times; the file is run once as long as it stays what it is."""
    from kizu.backbones.foreign import _onnx_layers, _onnx_network
    from kizu.backbones.foreign._metadata import normalisation_of
    from kizu.backbones.weights import _files

    network = _onnx_network.read(path)
    normalisation = normalisation_of(network.metadata, path, mean, std)
    listed = _onnx_layers.of(network, path)
    card = BackboneCard(
        name=f"onnx:{reference}",
        layers=listed.layers,
        default_layers=listed.default,
        default_image_size=network.image_size,
        licence="not stated",
        weights=path.name,
        sha256=_files.checksum(path),
        preprocessing="not known: mean and std are to be given" if normalisation is None else str(normalisation),
        description=f"the network in {path.name}",
        default_patch_stride=None,
    )
    return OnnxFile(card, path, normalisation, listed.convention)
