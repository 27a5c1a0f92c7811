"""Names as a terminal can show them: a file's may hold anything, line breaks and escape sequences too."""

from __future__ import annotations

import unicodedata


def printable(text: object) -> str:
    r"""What would not be printed is escaped as `repr` does it; letters of any script and spaces stay.

    >>> print(printable("部品　1\n\x1b[2J.png"))
    部品　1\n\x1b[2J.png
    """
    shown = str(text)
    return shown if shown.isprintable() else "".join(map(_printable, shown))


def _printable(letter: str) -> str:
    return letter if letter.isprintable() or unicodedata.category(letter) == "Zs" else repr(letter)[1:-1]


def one_line(text: object) -> str:
    """The same of a message: its lines after one another."""
    return printable(" ".join(filter(None, map(str.strip, str(text).splitlines()))))
