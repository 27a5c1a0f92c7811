"""The forms an export can take, and how each is written and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy.typing as npt

from kizu.errors import ParameterError, unknown_name

if TYPE_CHECKING:
    from kizu.exports._graph import Exportable

Results = Mapping[str, npt.NDArray[Any]]
Run = Callable[[npt.NDArray[Any]], Results]
"""From an image as the graph takes it to the outputs by name."""


class Format(Protocol):
    """One form of files, written into a folder."""

    suffix: str

    @staticmethod
    def beside(path: Path) -> Path:
        """The second file that one called ``path`` may have."""
        ...

    def __init__(self, exportable: Exportable, path: Path) -> None:
        """For files in the folder of ``path``, which is the one that users name."""
        ...

    def write(self, metadata: Mapping[str, str]) -> None:
        """Write the files, ``metadata`` in them; again with another, if asked to. Raises ``OSError``."""
        ...

    def open(self) -> Run:
        """Run what `write` wrote, by a runtime that knows nothing of kizu. Raises `ExportError`."""
        ...


FORMATS = {"onnx": "kizu.exports._onnx:OnnxFormat", "openvino": "kizu.exports._openvino:OpenVinoFormat"}


def format_of(name: str) -> type[Format]:
    """The format of that name.

    Raises:
        MissingExtraError: it needs a package that is not installed.
        ParameterError: there is none.
    """
    if name not in FORMATS:
        raise ParameterError(unknown_name("form of export", name, FORMATS))
    module, _, attribute = FORMATS[name].partition(":")
    found: type[Format] = getattr(import_module(module), attribute)
    return found
