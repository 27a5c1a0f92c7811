"""ONNX Runtime, imported so that it keeps to itself.

From 1.29 on it tells its maker what it runs on and which graphs: it asks for an address in the network, and leaves an
identity and a growing database in the home folder (on Linux and macOS; on Windows it hands events to the system). The
environment is looked at while it is imported, and never again.
"""

from __future__ import annotations

import os
import re
import sys
from threading import Lock
from typing import Any

_VARIABLE = "ORT_DISABLE_TELEMETRY"

_importing = Lock()


def imported() -> Any:
    """The module. Where it was imported before, by whoever uses kizu, what that one decided stays."""
    with _importing:
        if "onnxruntime" not in sys.modules:
            _import_silently()
    import onnxruntime as module

    return module


def release() -> tuple[int, int]:
    """Which ONNX Runtime it is: 1.26.0 is (1, 26)."""
    numbers = re.findall(r"\d+", imported().__version__)
    return int(numbers[0]), int(numbers[1])


def _import_silently() -> None:
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = "1"
    try:
        import onnxruntime as module
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before
    if sys.platform == "win32":
        module.disable_telemetry_events()
