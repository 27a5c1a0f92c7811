"""The one resize of images, and the one of masks."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kizu.errors import bad_parameter

_Pixel = TypeVar("_Pixel", bound=np.generic)


def resize(image: NDArray[_Pixel], size: tuple[int, int]) -> NDArray[_Pixel]:
    """Resize ``(H, W)`` or ``(H, W, C)`` of ``uint8``, ``uint16`` or ``float32`` to ``size = (h, w)``.

    An axis that shrinks is averaged over the area each new pixel covers; an axis that grows is interpolated
    linearly (half-pixel centres). Both are separable: where one axis shrinks and the other grows, each gets
    its own.

    >>> resize(np.array([[0, 100], [200, 100]], np.uint8), (1, 2)).tolist()
    [[100, 100]]

    Raises:
        ParameterError: a side of ``size`` is below 1.
    """
    _check(size)
    smaller = (min(size[0], image.shape[0]), min(size[1], image.shape[1]))
    return _resize(_resize(image, smaller, shrink=True), size, shrink=False)


def _resize(image: NDArray[Any], size: tuple[int, int], *, shrink: bool) -> NDArray[Any]:
    if image.shape[:2] == size:
        return image
    import cv2

    method = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    resized = cv2.resize(np.ascontiguousarray(image), (size[1], size[0]), interpolation=method)
    return resized.reshape(*size, *image.shape[2:])  # OpenCV drops a last axis of length 1


def resize_mask(mask: NDArray[_Pixel], size: tuple[int, int]) -> NDArray[_Pixel]:
    """Resize a ``(H, W)`` mask to ``size = (h, w)``: each pixel takes the one under its centre, exactly.

    >>> resize_mask(np.eye(4, dtype=bool), (2, 2)).astype(int).tolist()
    [[1, 0], [0, 1]]

    Raises:
        ParameterError: a side of ``size`` is below 1.
    """
    _check(size)
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new) for new, old in zip(size, mask.shape[:2], strict=True)
    )
    return mask[np.ix_(rows, columns)]


def _check(size: tuple[int, int]) -> None:
    if len(size) != 2 or min(size) < 1:
        raise bad_parameter("size", "(height, width), each at least 1", size)
