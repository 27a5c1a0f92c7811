"""Pretrained networks cut at named layers, held as ONNX graphs: images in, embeddings out.

A backbone writes a graph (`Backbone.build`), an engine runs it (`OnnxRuntimeEngine`); neither needs PyTorch.
Importing this package loads neither onnx nor ONNX Runtime.
"""

from kizu.backbones import efficientnet_lite as efficientnet_lite  # registers its backbones
from kizu.backbones._card import BackboneCard, Layer
from kizu.backbones._engine import OnnxRuntimeEngine
from kizu.backbones._registry import Backbone, get, names, register

__all__ = ["Backbone", "BackboneCard", "Layer", "OnnxRuntimeEngine", "get", "names", "register"]
