"""What this machine and its packages can do, where a test depends on it."""

from __future__ import annotations

import onnxruntime
import openvino
import pytest

CAPABLE = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
"""Whether the processor computes in bfloat16."""

quantises = pytest.mark.skipif(
    tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 21), reason="onnxruntime quantises from 1.21"
)
