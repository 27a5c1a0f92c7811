"""One program at a time: locks that end with the process that holds them, whatever ends it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold ``path``, a file or folder that is there, until the block ends; of other kizus none holds it then.

    True: it is held. False: another program holds it, and ``wait`` did not say to wait for that. Some network drives
    know no locks: there it is True for everyone.
    """
    held = _taken(path, wait)
    try:
        yield held is not None
    finally:
        if held is not None and held >= 0:
            os.close(held)


_WITHOUT = -1
"""In place of a descriptor where there are no locks."""

if sys.platform == "win32":
    import time

    def _taken(path: Path, wait: bool) -> int | None:
        """A file beside ``path`` or in it that is gone once it is closed; None: another program has it open."""
        place = path / ".kizu.lock" if path.is_dir() else path.with_name(f".{path.name}.lock")
        while True:
            try:
                return os.open(place, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_TEMPORARY)
            except FileExistsError:
                if not wait:
                    return None
                time.sleep(0.05)
            except OSError:
                return _WITHOUT

else:

    def _taken(path: Path, wait: bool) -> int | None:
        """A descriptor of ``path`` that holds the lock; None: another program holds it."""
        import fcntl

        while True:
            try:
                opened = os.open(path, os.O_RDONLY)
            except OSError:
                return _WITHOUT
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                if os.path.samestat(os.fstat(opened), path.stat()):  # else replaced by who held it
                    return opened
            except BlockingIOError:
                os.close(opened)
                return None
            except OSError:
                os.close(opened)
                return _WITHOUT
            os.close(opened)
