"""What the tests of every table of words ask of its texts."""

from __future__ import annotations

import re
import string


def places(text: str) -> set[str]:
    """The names of what is filled in."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def own_words(text: str) -> str:
    """The text without what is filled in."""
    return "".join(piece for piece, _, _, _ in string.Formatter().parse(text))


def is_japanese(text: str) -> bool:
    """Whether there are kana or kanji in it."""
    return re.search(r"[ぁ-んァ-ヶ一-龠々]", text) is not None
