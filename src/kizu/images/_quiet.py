"""Keeps the decoders' own complaints off stderr: a refusal is one line, and it is ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SILENT = 0
_lock = threading.Lock()
_state = {"inside": 0, "level": _SILENT}


@contextmanager
def quiet_decoder() -> Iterator[None]:
    """Silence OpenCV's log while decoding, and put its level back; threads may overlap inside."""
    log = _log_module()
    with _lock:
        if _state["inside"] == 0:
            _state["level"] = log.getLogLevel()
            log.setLogLevel(_SILENT)
        _state["inside"] += 1
    try:
        yield
    finally:
        with _lock:
            _state["inside"] -= 1
            if _state["inside"] == 0:
                log.setLogLevel(_state["level"])


def _log_module() -> Any:
    """Where this OpenCV keeps its log level: ``cv2.utils.logging``, or ``cv2`` itself in older versions."""
    import cv2

    utils: Any = getattr(cv2, "utils", None)
    return getattr(utils, "logging", cv2)
