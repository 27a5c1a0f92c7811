"""What several models make of one image, in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kizu.report._layout import MARGIN
from kizu.report._text import Box, Style, write
from kizu.report._view import View
from kizu.report.pictures import compose

STRIP = 44
"""Pixels in height of the strip that names a model."""

_RIGHT, _WRONG, _WHITE = (45, 60, 75), (90, 20, 90), (255, 255, 255)


def side_by_side(right: Mapping[str, bool], views: Sequence[View], mistake: str) -> NDArray[np.uint8]:
    """The composed pictures of one image, each below the name of its model, ``(H, W, 3)`` uint8.

    Wide ones stand under one another, others side by side.

    ``right``: the models by name, in the order of ``views``, and whether each judges the image rightly; the
    ``mistake`` of the others in words.
    """
    pictures = []
    for (name, is_right), view in zip(right.items(), views, strict=True):
        picture = compose(view)
        strip = np.full((STRIP, picture.shape[1], 3), _RIGHT if is_right else _WRONG, np.uint8)
        text = f"{name}: {'right' if is_right else mistake}"
        write(strip, text, Box(MARGIN, 0, picture.shape[1] - 2 * MARGIN, STRIP), Style(18, _WHITE, bold=True))
        pictures.append(np.concatenate([strip, picture]))
    wide = pictures[0].shape[1] > pictures[0].shape[0]
    return np.concatenate(pictures, axis=0 if wide else 1)
