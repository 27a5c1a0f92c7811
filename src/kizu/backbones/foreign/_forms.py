"""How the tensors of other people's networks hold a map, and how one is made of them.

Convolutional networks hold maps channels first ``(batch, C, n, n)`` or last ``(batch, n, n, C)``; transformers hold
tokens ``(batch, L, C)``, row by row, behind a few that stand for the whole image (class and register tokens).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kizu.graphs import Graph

PREFIXES = tuple(range(10))
"""Tokens before a grid: at most a class token and eight registers are in use."""


@dataclass(frozen=True)
class Form:
    """A square map in a tensor: ``channels`` values at ``size`` × ``size`` places, behind ``prefix`` tokens."""

    layout: Literal["NCHW", "NHWC", "NLC"]
    channels: int
    size: int
    prefix: int = 0

    def map_of(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """The tensor as ``(batch, channels, size, size)``."""
        if self.layout == "NCHW":
            return tensor
        if self.layout == "NLC":
            tensor = tensor[:, self.prefix :].reshape(-1, self.size, self.size, self.channels)
        return tensor.transpose(0, 3, 1, 2)

    def write(self, graph: Graph, tensor: str) -> str:
        """The same as nodes of a graph; ``tensor`` is float32."""
        import numpy as np

        if self.layout == "NCHW":
            return tensor
        if self.layout == "NLC":
            if self.prefix:
                bounds = [graph.constant(np.array([n], np.int64)) for n in (self.prefix, 2**31 - 1, 1)]
                tensor = graph.node("Slice", [tensor, *bounds])
            shape = graph.constant(np.array([0, self.size, self.size, self.channels], np.int64))
            tensor = graph.node("Reshape", [tensor, shape])
        return graph.node("Transpose", [tensor], perm=[0, 3, 1, 2])


@dataclass(frozen=True)
class Convention:
    """How a network's tensors are to be read where their shape leaves it open.

    ``channels_last`` where there are as many channels as rows; ``prefix_tokens`` before a grid, None: not known.
    """

    channels_last: bool = False
    prefix_tokens: int | None = None

    @classmethod
    def of(cls, shapes: Iterable[Sequence[int]], image_size: int, prefix_tokens: int | None = None) -> Convention:
        """That of a network with tensors of those shapes: what most of the unambiguous ones do, the others do too."""
        votes = 0
        for shape in shapes:
            form = form_of(shape, image_size, cls()) if len(shape) == 4 and shape[1] != shape[3] else None
            votes += 0 if form is None else 1 if form.layout == "NHWC" else -1
        return cls(votes > 0, prefix_tokens)


def form_of(shape: Sequence[int], image_size: int, convention: Convention) -> Form | None:
    """The map that a tensor of that shape holds for an image of ``image_size`` pixels; None where it holds none.

    >>> form_of((1, 64, 28, 28), 224, Convention())
    Form(layout='NCHW', channels=64, size=28, prefix=0)
    >>> form_of((1, 1374, 384), 518, Convention())  # a class token and four registers
    Form(layout='NLC', channels=384, size=37, prefix=5)
    """
    if len(shape) == 3:
        return _tokens(shape[1], shape[2], image_size, convention.prefix_tokens)
    if len(shape) != 4:
        return None
    _, a, b, c = shape
    first, last = b == c and _is_grid(b, image_size), a == b and _is_grid(a, image_size)
    if last and (convention.channels_last or not first):
        return Form("NHWC", c, a)
    return Form("NCHW", a, b) if first else None


def _is_grid(size: int, image_size: int) -> bool:
    return 2 <= size <= image_size


def _tokens(length: int, channels: int, image_size: int, prefix: int | None) -> Form | None:
    possible = PREFIXES if prefix is None else (prefix, 0)
    sizes = {n: isqrt(length - n) for n in possible if length > n and isqrt(length - n) ** 2 == length - n}
    grids = {n: size for n, size in sizes.items() if _is_grid(size, image_size)}
    whole = [n for n, size in grids.items() if image_size % size == 0]
    found = next(iter(whole if prefix is None and whole else grids), None)
    return None if found is None else Form("NLC", channels, grids[found], found)
