"""What is said in more than one language: a key and its figures here, the words in ``wording.yaml``.

Who finds something out makes a `Wording`; its English is what people read at the command line and programs get, and a
page in another language asks for that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

LANGUAGES = ("en", "ja")
"""The languages there are words in; the first is that of messages and of what programs get."""

WORDINGS = Path(__file__).with_suffix(".yaml")
"""The words of every `Wording`."""

_FORMS = " || "

Table: TypeAlias = Mapping[str, Mapping[str, str]]
Value: TypeAlias = "str | int | float | tuple[str, ...] | Wording"
Figures: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True)
class Wording:
    """Something said: the ``key`` of its words, and the ``figures`` in them, plain values, names, or wordings again.

    ``n`` decides between "1 image" and "2 images"; a tuple of names becomes "a and b".

    >>> found = Wording("duplicate", {"n": 2, "places": ("train/good", "test/good")})
    >>> str(found), found.say("ja")
    ('the same pixels: 2 files in train/good and test/good.', '同一の画像が2枚あります（train/good、test/good）。')
    """

    key: str
    figures: Figures = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return self.say(LANGUAGES[0])

    def say(self, language: str) -> str:
        """The words in a language. Raises `KeyError` for a key or language there is not."""
        text = form(read_table(WORDINGS)[self.key][language], self.figures.get("n"))
        return text.format(**{name: _said(value, language) for name, value in self.figures.items()})


def _said(value: Value, language: str) -> str | int | float:
    if isinstance(value, Wording):
        return value.say(language)
    if isinstance(value, tuple):
        return read_table(WORDINGS)["and"][language].join(value)
    return value


def form(text: str, n: object) -> str:
    """The form of a text for so many: of "a || b" a where ``n`` is 1, b otherwise.

    >>> form("image || images", 1), form("image || images", 2), form("data", None)
    ('image', 'images', 'data')
    """
    one, several, more = text.partition(_FORMS)
    return more if several and n != 1 else one


def plural(count: int, noun: str) -> str:
    """So many of them, in English.

    >>> plural(1, "image"), plural(1200, "image")
    ('1 image', '1,200 images')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """Two digits of it, in English.

    >>> percent(0.00851), percent(0.05), percent(0.9985)
    ('0.85 %', '5 %', '100 %')
    """
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


@lru_cache
def read_table(path: Path) -> Table:
    """The texts of a file by key and language."""
    import yaml

    content: dict[str, dict[str, str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content
