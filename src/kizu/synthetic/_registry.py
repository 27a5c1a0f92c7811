"""The kinds of defects by name; a new one is a file here and a line below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from numpy.random import Generator

from kizu.arguments import several
from kizu.errors import ParameterError, unknown_name
from kizu.synthetic import blob, cut_paste, scratch, seamless, texture
from kizu.synthetic._canvas import Canvas, Patch

Draw = Callable[[Canvas, Generator, float, float], Patch]
"""Draws one defect: canvas, random numbers, strength and size → what a part of the image now looks like."""

KINDS: Mapping[str, Draw] = MappingProxyType(
    {
        "scratch": scratch.draw,
        "blob": blob.draw,
        "cut_paste": cut_paste.draw,
        "texture": texture.draw,
        "seamless": seamless.draw,
    }
)
"""Every kind, by the name that commands and folders have for it."""


def check_kinds(kinds: str | Iterable[str]) -> tuple[str, ...]:
    """The names as a tuple, each once, in the order given.

    >>> check_kinds(["blob", "scratch", "blob"])
    ('blob', 'scratch')

    Raises:
        ParameterError: a kind is not known, or there is none.
    """
    names = tuple(dict.fromkeys(several(kinds)))
    for name in names:
        if name not in KINDS:
            raise ParameterError(unknown_name("kind of defect", name, KINDS))
    if not names:
        raise ParameterError(f"`kinds` must name a kind of defect. Known: {', '.join(KINDS)}.")
    return names
