"""Everything kizu raises, and how its messages are worded.

::

    KizuError                 a message for the user: what, where, what to do; exit code 2
    ├── ParameterError        a parameter, option or config key is unknown or out of range
    ├── DataError             a data set is missing, empty, too small or inconsistent
    │   └── ImageError        one image or mask cannot be used (``.path`` names it)
    ├── BackboneError         a backbone, its weights or a layer cannot be had
    ├── DownloadError         a file cannot be fetched, or is not the one expected
    ├── ModelFileError        a ``.kizu`` file is damaged, altered, unsafe or too new
    ├── OutputError           a result cannot be written
    ├── ExportError           a model cannot be exported, or its export does not agree with it
    ├── MissingExtraError     an optional package is not installed
    └── NotFittedError        a detector was used before ``fit``

    KizuWarning               work goes on, but the user should know

Each message is one line.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from kizu.wording import Wording

MOST_NAMES = 20
"""Names in one message; of more than that, the nearest."""


class KizuError(Exception):
    """Base of every error a user can meet; its text is one line and says what to do next."""


class ParameterError(KizuError, ValueError):
    """A parameter, option or config key is unknown or out of range."""


class DataError(KizuError):
    """A data set is missing, empty, too small or inconsistent."""


class ImageError(DataError):
    """One image or mask cannot be used.

    ``reason`` and ``remedy``: why, and what to do, in any language; ``wording`` both of them, ``problem`` in English.
    """

    def __init__(self, path: Path | str, problem: str | Wording, remedy: Wording | None = None) -> None:
        self.path = Path(path)
        self.reason = problem if isinstance(problem, Wording) else Wording("as_told", {"detail": problem})
        self.remedy = remedy
        self.problem = str(self.wording)
        super().__init__(f"{path}: {self.problem}")

    @property
    def wording(self) -> Wording:
        """Why, and what to do where that is known."""
        if self.remedy is None:
            return self.reason
        return Wording("why_and_remedy", {"reason": self.reason, "remedy": self.remedy})


class BackboneError(KizuError):
    """A backbone, its weights or a layer cannot be had."""


class DownloadError(KizuError):
    """A file cannot be fetched or unpacked, or is not the one expected."""


class ModelFileError(KizuError):
    """A ``.kizu`` file is damaged, altered, unsafe or of a newer schema."""


class OutputError(KizuError):
    """A result cannot be written."""


class ExportError(KizuError):
    """A model cannot be exported, or its export does not agree with it."""


class MissingExtraError(KizuError, ImportError):
    """An optional package is not installed."""


class NotFittedError(KizuError, RuntimeError):
    """A detector was used before it was fitted."""


class KizuWarning(UserWarning):
    """Work goes on, but the user should know; its text says what to do."""


def bad_parameter(name: str, expected: str, got: object, hint: str = "") -> ParameterError:
    """The one form of words for a parameter out of range.

    >>> str(bad_parameter("coreset_ratio", "in (0, 1]", 10, "For ten percent write 0.1."))
    '`coreset_ratio` must be in (0, 1]; got 10. For ten percent write 0.1.'
    """
    text = f"`{name}` must be {expected}; got {got!r}."
    return ParameterError(f"{text} {hint}" if hint else text)


def sentence(text: object) -> str:
    """Words of others, an error's for example, as one line that a sentence may follow.

    >>> sentence("it breaks\\noff"), sentence("an unknown letter.")
    ('it breaks off.', 'an unknown letter.')
    """
    line = " ".join(str(text).split())
    return line if line.endswith((".", "!", "?")) else f"{line}."


def some(names: Sequence[object], most: int) -> str:
    """The first few names, and how many more there are.

    >>> some(["a.png", "b.png", "c.png"], 2)
    'a.png, b.png and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def quoted(path: Path | str) -> str:
    """A path as this system's command line takes it, not as an option; letters of any script need no quotes.

    >>> quoted("-part.kizu")
    './-part.kizu'
    """
    text = str(path)
    text = f"./{text}" if text.startswith("-") else text
    if os.name == "nt":
        import subprocess

        return subprocess.list2cmdline([text])
    return text if re.fullmatch(r"[\w@%+=:,./-]+", text) else shlex.quote(text)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Words for a name that does not exist, with the nearest ones first.

    >>> unknown_name("layer", "block.2", ["blocks.1", "blocks.2"])
    "unknown layer 'block.2'. Did you mean 'blocks.2' or 'blocks.1'? Known: blocks.1, blocks.2."
    """
    options = list(known)
    close = difflib.get_close_matches(name, options, n=2, cutoff=0.6)
    guess = f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
    if len(options) <= MOST_NAMES:
        return f"unknown {kind} {name!r}.{guess} Known: {', '.join(options) or 'none'}."
    nearest = difflib.get_close_matches(name, options, n=MOST_NAMES, cutoff=0) or options[:MOST_NAMES]
    return f"unknown {kind} {name!r}.{guess} The nearest of {len(options)}: {', '.join(nearest)}."
