"""The output folder: a table, and a picture an image, written as results come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kizu import report
from kizu.datasets import Sample
from kizu.files import prepare_folder
from kizu.inspector import Prediction

if TYPE_CHECKING:
    from typing_extensions import Self


class Outputs:
    """``predictions.csv`` and ``pictures/``, and a folder for every part asked for with ``--save``."""
