"""Images far larger than a backbone's input, cut into overlapping tiles whose patches make one grid.

- Tiles lie at multiples of ``lattice``, the stride of the coarsest layer: a network with strides sees a texture in
  as many ways as its coarsest stride has pixels, and patches of two tiles go together only where both see it in the
  same way.
- An axis shorter than a tile is stretched to one, as without tiles; a longer one goes on mirrored, by less than
  ``lattice`` pixels, until tiles fill it. So nothing is resampled for the sake of tiles, and an image that fits in
  one tile is seen as without.
- As few tiles as ``step`` allows are spread evenly. A patch is taken from the tile whose centre is nearest: the
  farthest from the borders, where a network sees zeros instead of the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kizu.errors import bad_parameter
from kizu.images.resizing import resize, resize_mask

_Pixel = TypeVar("_Pixel", bound=np.generic)


@dataclass(frozen=True)
class TileSpan:
    """A tile along one axis: its first pixel, and the cells of the whole grid taken from it, ``first`` to ``last``
    (not included).
    """

    start: int
    first: int
    last: int


@dataclass(frozen=True)
class Tiling:
    """How tiles are cut, in pixels that the backbone sees.

    ``side`` of a tile; ``size``: the pixels of an image that it shows each way; ``step``: from a tile to the next at
    most; ``lattice``: what places of tiles are multiples of; ``patch``: pixels a patch.

    Raises:
        ParameterError: the side or the step is no multiple of the lattice, or that none of the patch.
    """

    side: int
    size: int
    step: int
    lattice: int
    patch: int

    def __post_init__(self) -> None:
        if self.lattice % self.patch:
            raise bad_parameter("tile_lattice", f"a multiple of {self.patch}, the pixels a patch", self.lattice)
        if self.side % self.lattice:
            hint = "Tiles lie at multiples of the coarsest layer's stride."
            raise bad_parameter("image_size", f"a multiple of {self.lattice} where tiles are cut", self.side, hint)
        if self.step % self.lattice or not 0 < self.step <= self.side:
            raise ValueError(
                f"a step of {self.step} does not fit tiles of {self.side} at multiples of {self.lattice}"
            )

    def scaled(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width that an image of ``size`` is brought to: ``side / size`` of its own, a tile at least."""
        height, width = (max(self.side, round(length * self.side / self.size)) for length in size)
        return height, width

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of patches of an image of ``size``."""
        rows, columns = (-(-length // self.patch) for length in self.scaled(size))
        return rows, columns

    def spans(self, size: tuple[int, int]) -> tuple[tuple[TileSpan, ...], tuple[TileSpan, ...]]:
        """The tiles of an image of ``size``, along its rows and along its columns."""
        rows, columns = (self._spans(length) for length in self.scaled(size))
        return rows, columns

    def apply(self, image: NDArray[_Pixel]) -> NDArray[_Pixel]:
        """``(H, W)`` or ``(H, W, C)`` as tiles are cut from it: scaled, and mirrored at its far edges."""
        scaled = self.scaled((image.shape[0], image.shape[1]))
        more = [self._padded(length) - length for length in scaled]
        image = resize(image, scaled)
        if not any(more):
            return image
        return np.pad(image, [(0, more[0]), (0, more[1]), *[(0, 0)] * (image.ndim - 2)], mode="reflect")

    def apply_mask(self, mask: NDArray[_Pixel]) -> NDArray[_Pixel]:
        """The same for a mask ``(H, W)``, with nearest neighbours and not mirrored."""
        return resize_mask(mask, self.scaled((mask.shape[0], mask.shape[1])))

    def _padded(self, length: int) -> int:
        return self.side + -(-(length - self.side) // self.lattice) * self.lattice

    def _spans(self, length: int) -> tuple[TileSpan, ...]:
        """Tiles along an axis of ``length`` scaled pixels, and the cells whose centres are nearest to theirs."""
        starts = self._starts(self._padded(length))
        cells = -(-length // self.patch)
        halfway = [(before + after + self.side) // 2 for before, after in pairwise(starts)]
        bounds = [0, *(-(-middle // self.patch) for middle in halfway), cells]
        taken = zip(starts, pairwise(bounds), strict=True)
        return tuple(TileSpan(start, first, last) for start, (first, last) in taken)

    def _starts(self, length: int) -> list[int]:
        """First pixels: as few tiles as fill ``length``, spread evenly over the lattice."""
        last = length - self.side
        if not last:
            return [0]
        gaps = -(-last // self.step)
        return [round(number * last / (gaps * self.lattice)) * self.lattice for number in range(gaps + 1)]


def tiling_of(
    *, side: int, size: int, stride: int | None, border: int | None, lattice: int, patch: int
) -> tuple[Tiling, int]:
    """Tiles as a user asks for them, and the patches at their inner sides that are never used.

    ``stride``: pixels of the image from a tile to the next at most, brought down to the lattice; None: as many as
    ``border`` allows. ``border``: patches at each inner side that must not be used; None: an eighth of the tile's,
    or what ``stride`` leaves.

    Raises `ParameterError` where the two leave gaps, or there is no such tiling.
    """
    if stride is None:
        step = (side - 2 * (side // patch // 8 if border is None else border) * patch) // lattice * lattice
    else:
        step = min(stride * side // size, side) // lattice * lattice
    if step <= 0:
        name, value, expected = ("tile_border", border, f"fewer than {(side - lattice) // (2 * patch) + 1} patches")
        if stride is not None:
            expected = f"{-(-lattice * size // side)} pixels or more, where the coarsest layer's patches begin"
            name, value = "tile_stride", stride
        raise bad_parameter(name, expected, value)
    unused = (side - step) // 2 // patch
    if border is not None and unused < border:
        hint = "Gaps would be left otherwise."
        most = (side - 2 * border * patch) * size // side
        raise bad_parameter("tile_stride", f"at most {most} where tile_border is {border}", stride, hint)
    return Tiling(side=side, size=size, step=step, lattice=lattice, patch=patch), unused
