"""Where weights and graphs are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

from kizu.errors import OutputError
from kizu.files import prepare_folder

VARIABLE = "KIZU_CACHE"


def folder(kind: str) -> Path:
    """The folder of ``kind`` (``weights``, ``graphs``) in the user's cache, or under ``KIZU_CACHE`` if that is set.

    It need not exist. Two processes may use it at once: files in it are written whole or not at all.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen) / kind
    import platformdirs

    return platformdirs.user_cache_path("kizu", appauthor=False) / kind


def prepare(kind: str) -> Path:
    """That folder, in which files can be written. Raises `OutputError`, which tells how to name another one."""
    try:
        return prepare_folder(folder(kind))
    except OutputError as error:
        raise OutputError(f"{error} {VARIABLE} names another folder for what kizu keeps between runs.") from error
