"""`kizu.images.Preprocessing` as nodes of a graph: images of any size, resized as OpenCV does to the grey level.

What OpenCV computes for uint8 (``modules/imgproc/src/resize.cpp``, 4.9 to 5.0):

- ``INTER_AREA``: the area each new pixel covers of the old ones, in float32; pieces below a thousandth of an old
  pixel are left out. Where both axes shrink by whole numbers the sum is exact and multiplied once; halves are
  rounded up at 2 × 2, to even elsewhere.
- ``INTER_LINEAR``: weights of 11 bits, products cut (not rounded) in two places. Beyond the edge the weights of rows
  stay as they are; those of columns become 1 and 0, which gives other cuts.

Where a mean lies half-way between two grey levels (a tenth of all, from 640 × 512 to 256 × 256), the last bit of the
float32 sums decides. So they are formed in OpenCV's order, columns first, piece after piece, each product rounded
before it is added: loops, not matrix products.

Of float32 levels, as models with a window have them, nothing is rounded: the same areas, and plain linear weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kizu.expressions import Expression, added_up, constant, counted, either, zeros
from kizu.images import Preprocessing

SMALLEST_PIECE = 1000
"""OpenCV leaves pieces out that are at most this fraction of a pixel."""

WEIGHT_BITS = 11
"""Of the linear weights."""


@dataclass(frozen=True)
class _Axis:
    """How one axis is resized and cut, as whole scalars: first shrunk (or left), then grown (or left).

    ``length`` pixels become ``shrunk``, of which ``kept`` from ``first`` on are computed. Of these, seen as
    ``grown_from`` pixels that would become ``grown``, ``side`` from ``second`` on are computed.
    """

    length: Expression
    shrunk: Expression
    kept: Expression
    first: Expression
    grown_from: Expression
    grown: Expression
    second: Expression
    side: Expression


def preprocessed(image: Expression, preprocessing: Preprocessing) -> Expression:
    """``(H, W, 3)`` uint8 or float32 of any size → ``(1, N, N, 3)`` of the same type: what the backbone sees."""
    exact = image.dtype == np.float32
    rows, columns = _axes(image, preprocessing)
    shrinks = (rows.length > rows.kept) | (columns.length > columns.kept)
    grows = (rows.grown > rows.grown_from) | (columns.grown > columns.grown_from)
    shrunk = either(
        shrinks,
        lambda graph: _shrunk(image.inside(graph), rows, columns, exact),
        lambda graph: _as_it_is(image.inside(graph), np.float32),
        "shrink",
    )
    grown = either(
        grows,
        lambda graph: (_interpolated if exact else _grown)(shrunk.inside(graph), rows, columns),
        lambda graph: _as_it_is(shrunk.inside(graph), np.float32 if exact else np.uint8),
        "grow",
    )
    side = preprocessing.image_size
    return grown.reshape(1, side, side, 3)


def _as_it_is(image: Expression, dtype: type[np.float32] | type[np.uint8]) -> Expression:
    """Of that type; a node in any case, as the branches of an ``If`` must give one."""
    return image.apply("Identity") if image.dtype == dtype else image.cast(dtype)


def _axes(image: Expression, preprocessing: Preprocessing) -> list[_Axis]:
    lengths = [_length(image, axis) for axis in (0, 1)]
    side = constant(image.graph, np.int32(preprocessing.resize or preprocessing.image_size))
    targets = [side, side]
    if preprocessing.keep_aspect:
        targets = [side * length // lengths[0].at_most(lengths[1]) for length in lengths]
    return [_axis(length, target, preprocessing.image_size) for length, target in zip(lengths, targets, strict=True)]


def _length(image: Expression, axis: int) -> Expression:
    """Pixels along an axis, int32."""
    shape = Expression(image.graph, image.graph.node("Shape", [image.name]), np.dtype(np.int64)).cast(np.int32)
    return shape.take(axis)


def _axis(length: Expression, target: Expression, image_size: int) -> _Axis:
    side, zero = (constant(length.graph, np.int32(n)) for n in (image_size, 0))
    cut = (target - side) // 2
    shrinks = length >= target
    return _Axis(
        length=length,
        shrunk=length.at_most(target),
        kept=shrinks.where(side, length),
        first=shrinks.where(cut, zero),
        grown_from=shrinks.where(side, length),
        grown=shrinks.where(side, target),
        second=shrinks.where(zero, cut),
        side=side,
    )


def _shrunk(image: Expression, rows: _Axis, columns: _Axis, exact: bool) -> Expression:
    """``(H, W, 3)`` → ``(h, w, 3)`` float32: the area of each new pixel, of whole grey levels unless ``exact``."""
    whole = (rows.length % rows.shrunk).equals(0) & (columns.length % columns.shrunk).equals(0)
    across = _summed(image.transpose(1, 0, 2), columns, whole, "columns")
    return _means(_summed(across.transpose(1, 0, 2), rows, whole, "rows"), rows, columns, whole, exact)


def _summed(image: Expression, along: _Axis, whole: Expression, name: str) -> Expression:
    """Weighted sums of the pieces that make each new pixel along the first axis, one after the other: float32."""
    weights = _areas(along, _pieces(along), whole)
    places = _pieces(along).at_most(along.length - 1)

    def piece(number: Expression) -> Expression:
        inside = number.graph
        place = places.inside(inside).take(number, axis=1)
        weight = weights.inside(inside).take(number, axis=1).reshape(-1, 1, 1)
        return image.inside(inside).take(place).cast(np.float32) * weight

    start = zeros(image.graph, along.kept, _length(image, 1), 3)
    return added_up(start, _pieces_a_pixel(along), piece, name)


def _means(sums: Expression, rows: _Axis, columns: _Axis, whole: Expression, exact: bool) -> Expression:
    """Means over areas (the sums are those already unless the ratios are ``whole``); unless ``exact``, rounded to
    grey levels as OpenCV rounds them.
    """
    one = constant(whole.graph, np.float32(1))
    heights, widths = (axis.length // axis.shrunk for axis in (rows, columns))
    means = sums * whole.where(one / (heights * widths).cast(np.float32), one)
    if exact:
        return means
    halves_up = (heights.equals(2) & widths.equals(2) & whole).cast(np.float32)
    return (means + halves_up * 0.125).apply("Round").at_most(255.0)


def _pieces_a_pixel(axis: _Axis) -> Expression:
    """Old pixels that a new one can touch, at most."""
    return (axis.length + axis.shrunk - 1) // axis.shrunk + 1


def _pieces(axis: _Axis) -> Expression:
    """The old pixels each new one may cover, ``(new, pieces)`` int32; some lie behind the last, with no area."""
    new = (counted(axis.kept) + axis.first).reshape(-1, 1)
    return new * axis.length // axis.shrunk + counted(_pieces_a_pixel(axis))


def _areas(axis: _Axis, old: Expression, whole: Expression) -> Expression:
    """The share of each ``old`` pixel in each new one: ``(new, pieces)`` float32.

    Overlaps are reckoned in whole numbers: in units of an old pixel's ``shrunk``-th part. With ``whole`` ratios the
    weights are 1, and the sum is divided later.
    """
    new = (counted(axis.kept) + axis.first).reshape(-1, 1)
    ends = ((new + 1) * axis.length).at_most((old + 1) * axis.shrunk)
    overlap = (ends - (new * axis.length).at_least(old * axis.shrunk)).at_least(0)
    counts = overlap * SMALLEST_PIECE > axis.shrunk
    weights = overlap.cast(np.float32) / axis.length.cast(np.float32)
    one, zero = (constant(old.graph, np.float32(n)) for n in (1, 0))
    return counts.where(whole.where(one, weights), zero)


def _grown(image: Expression, rows: _Axis, columns: _Axis) -> Expression:
    """``(h, w, 3)`` of whole grey levels → ``(N, N, 3)`` uint8, interpolated linearly in whole numbers."""
    levels = image.cast(np.int32)
    left, right, near, far = _neighbours(columns, clamp=True)
    near, far = near.reshape(-1, 1), far.reshape(-1, 1)
    across = (levels.take(left, 1) * near + levels.take(right, 1) * far) // 2**4
    upper, lower, near, far = _neighbours(rows, clamp=False)
    near, far = near.reshape(-1, 1, 1), far.reshape(-1, 1, 1)
    above, below = across.take(upper) * near // 2**16, across.take(lower) * far // 2**16
    return ((above + below + 2) // 2**2).cast(np.uint8)


def _interpolated(image: Expression, rows: _Axis, columns: _Axis) -> Expression:
    """``(h, w, 3)`` float32 → ``(N, N, 3)`` float32, interpolated linearly."""
    left, right, near, far = _between(columns, clamp=True)
    across = image.take(left, 1) * near.reshape(-1, 1) + image.take(right, 1) * far.reshape(-1, 1)
    upper, lower, near, far = _between(rows, clamp=False)
    return across.take(upper) * near.reshape(-1, 1, 1) + across.take(lower) * far.reshape(-1, 1, 1)


def _neighbours(axis: _Axis, *, clamp: bool) -> tuple[Expression, Expression, Expression, Expression]:
    """The two old pixels about each new one, and their weights in 2048ths: ``(N,)`` int32 each."""
    before, after, *shares = _between(axis, clamp=clamp)
    near, far = (((part * 2.0**WEIGHT_BITS).apply("Round")).cast(np.int32) for part in shares)
    return before, after, near, far


def _between(axis: _Axis, *, clamp: bool) -> tuple[Expression, Expression, Expression, Expression]:
    """The two old pixels about each new one, int32, and their weights, float32: ``(N,)`` each."""
    new = counted(axis.side) + axis.second
    twice = (new * 2 + 1) * axis.grown_from - axis.grown
    position = twice.cast(np.float32) / (axis.grown * 2).cast(np.float32)
    floor = position.apply("Floor")
    fraction = position - floor
    before, last = floor.cast(np.int32), axis.grown_from - 1
    if clamp:
        inside = (before >= 0) & (last > before)
        fraction = inside.where(fraction, constant(new.graph, np.float32(0)))
    one = constant(new.graph, np.float32(1))
    return (
        before.at_least(0).at_most(last),
        (before + 1).at_least(0).at_most(last),
        one - fraction,
        fraction,
    )
