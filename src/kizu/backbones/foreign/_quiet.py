"""Keeping the libraries that bring networks from talking."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

_one_at_a_time = RLock()

_LOUD = ("torch", "timm", "onnxscript", "onnx_ir", "huggingface_hub")


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings and log lines of the libraries, which are of no use to who asked for a backbone.

    One thread at a time: levels and filters are the whole program's.
    """
    with _one_at_a_time:
        yield from _quieted()


def _quieted() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _LOUD]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
