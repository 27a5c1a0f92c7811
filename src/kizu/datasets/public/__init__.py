"""Public data sets: a card each, a YAML file beside this one, that says what it is, its licence and where it is.

What is not known for certain is not in a card: without ``sha256`` a download cannot be checked, without ``urls`` a
person has to fetch the archive from ``page``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from kizu.errors import ParameterError, unknown_name

_FOLDER = Path(__file__).parent
_SUFFIX = ".yaml"


@dataclass(frozen=True)
class DataCard:
    """A public data set; ``size`` in bytes and ``sha256`` are the archive's, as far as they are known.

    ``accept``: what somebody who downloads it must accept, in a few words. ``rename``: how names in the archive
    become those of a layout (`kizu.downloads.unpack`). ``package``: the command that installs it, if it comes so.
    """

    name: str
    title: str
    page: str
    licence: str
    citation: str
    licence_url: str = ""
    accept: str = ""
    urls: tuple[str, ...] = ()
    size: int | None = None
    sha256: str | None = None
    rename: tuple[tuple[str, str], ...] = ()
    package: str = ""

    @property
    def how(self) -> str:
        """How it comes: ``download``, ``package`` or ``by hand``."""
        return "download" if self.urls else "package" if self.package else "by hand"

    @property
    def file(self) -> str:
        """The archive's name; "" where it is not known."""
        return self.urls[0].rpartition("/")[2] if self.urls else ""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**asdict(self), "how": self.how}


def names() -> tuple[str, ...]:
    """Every data set that has a card, sorted.

    >>> names()[:2]
    ('btad', 'elpv')
    """
    return tuple(sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}")))


def card(name: str) -> DataCard:
    """A data set's card. Raises `ParameterError`, with the nearest names, when there is none.

    >>> card("visa").licence
    'CC BY 4.0'
    """
    if name not in names():
        raise ParameterError(f"{unknown_name('data set', name, names())} See `kizu data list`.")
    content = yaml.safe_load((_FOLDER / f"{name}{_SUFFIX}").read_text(encoding="utf-8"))
    content["urls"] = tuple(content.get("urls", ()))
    content["rename"] = tuple((pattern, to) for pattern, to in content.get("rename", ()))
    return DataCard(name=name, **content)
