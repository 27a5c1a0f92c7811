"""The words of a report in each language, and how that language writes numbers, shares and dates."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from kizu.errors import ParameterError, unknown_name
from kizu.report._text import number as short_number
from kizu.wording import LANGUAGES, Table, Wording, form, read_table

_TABLE = Path(__file__).with_name("words.yaml")
_TURNS = {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_CODE = re.compile(r"`([^`]+)`")
_BACKQUOTE = "\0"  # no name holds one


class Words:
    """Says things in one language.

    >>> words = Words("en")
    >>> words("images", n=1), words("images", n=1234)
    ('1 image', '1,234 images')
    >>> ja = Words("ja")
    >>> ja.share(0.0123), ja.share(0.9999), ja.share(0.5)
    ('1.2%', '99.9%', '50%')

    Raises `ParameterError` for a language there is not.
    """

    def __init__(self, language: str) -> None:
        self.language = check_language(language)
        self._texts = {key: forms[language] for key, forms in table().items()}

    def __call__(self, key: str, **values: Any) -> str:
        """The text of ``key`` with ``values`` in their places; ``n`` decides between "1 image" and "2 images"."""
        text = form(self._texts[key], values.get("n"))
        return text.format(**{name: self._plain(value) for name, value in values.items()})

    def of(self, wording: Wording) -> str:
        """What the data check or a reader of files has to say."""
        return wording.say(self.language)

    def text(self, key: str) -> str:
        """The text of ``key`` as it stands in the table, for the page's script to fill in."""
        return self._texts[key]

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def share(self, value: float) -> str:
        """A share as percent with one decimal, two digits where it is small; 0 % and 100 % mean exactly that."""
        percent = 100 * value
        text = f"{percent:.2g}" if 0 < percent < 0.1 else f"{percent:.1f}".removesuffix(".0")
        if value < 1 and float(text) >= 100:
            text = "99.9"
        return self._texts["percent"].format(text)

    def score(self, value: float) -> str:
        """A score in three digits or so."""
        return short_number(value)

    def figure(self, value: float | None) -> str:
        """A measure from 0 to 1, as 0.987; a dash where there is none. 1.000 means exactly that."""
        if value is None:
            return "–"
        text = f"{value:.3f}"
        return "0.999" if text == "1.000" and value < 1 else text

    def date(self, value: datetime) -> str:
        """Day and time."""
        months = self._texts["months"].split()
        fields = {"year": value.year, "month": months[value.month - 1], "day": value.day}
        return self._texts["date"].format(**fields, time=f"{value:%H:%M}")

    def list(self, items: list[str]) -> str:
        """Things in a row."""
        return self._texts["comma"].join(items)

    @staticmethod
    def _plain(value: Any) -> str:
        return f"{value:,}" if isinstance(value, int) else str(value)


def check_language(language: str) -> str:
    """The language as it is. Raises `ParameterError` when there is no such one."""
    if language not in LANGUAGES:
        raise ParameterError(unknown_name("language", language, LANGUAGES))
    return language


def table() -> Table:
    """Every text by key and language."""
    return read_table(_TABLE)


def legible(text: str) -> str:
    r"""A text of other people's, with escapes for the characters that turn round the order of letters after them.

    >>> print(legible("a\u202egnp.exe"))
    a\u202egnp.exe
    """
    return text.translate(_TURNS)


def code_spans(text: str) -> list[tuple[str, bool]]:
    """A text cut at its `code`: pieces, and whether they are code.

    >>> code_spans("run `kizu fit`.")
    [('run ', False), ('kizu fit', True), ('.', False)]
    """
    pieces = _CODE.split(text)
    return [(piece.replace(_BACKQUOTE, "`"), index % 2 == 1) for index, piece in enumerate(pieces) if piece]


def in_code(text: str) -> str:
    """A text of other people's that may stand in `code`: its own backquotes end nothing there.

    >>> code_spans(f"run `kizu info {in_code('a`b.kizu')}`.")[1]
    ('kizu info a`b.kizu', True)
    """
    return text.replace("`", _BACKQUOTE)
