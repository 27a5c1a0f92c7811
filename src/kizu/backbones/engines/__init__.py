"""What runs a backbone's graph. Importing this package loads no engine."""

from kizu.backbones.engines._base import ENGINES, PRECISIONS, Engine, open_engine
from kizu.backbones.engines.onnxruntime import OnnxRuntimeEngine
from kizu.backbones.engines.openvino import OpenVinoEngine

__all__ = ["ENGINES", "PRECISIONS", "Engine", "OnnxRuntimeEngine", "OpenVinoEngine", "open_engine"]
