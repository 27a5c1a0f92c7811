"""Pretrained networks cut at named layers, held as ONNX graphs: images in, embeddings out.

A backbone writes its feature maps (`Backbone.build`), `embedding_graph` adds the head, an engine runs the whole
(`open_engine`); none of it needs PyTorch. Importing this package loads neither onnx nor ONNX Runtime.
"""

from kizu.backbones import efficientnet_lite as efficientnet_lite  # registers its backbones
from kizu.backbones import resnet as resnet  # registers its backbones
from kizu.backbones._card import MIN_IMAGE_SIZE, BackboneCard, Layer
from kizu.backbones._embedding import embedding_graph
from kizu.backbones._registry import Backbone, Located, Preparable, Weighted, get, names, prepare, register
from kizu.backbones.engines import Engine, OnnxRuntimeEngine, open_engine
from kizu.backbones.weights._files import WeightFile

__all__ = [
    "MIN_IMAGE_SIZE",
    "Backbone",
    "BackboneCard",
    "Engine",
    "Layer",
    "Located",
    "OnnxRuntimeEngine",
    "Preparable",
    "WeightFile",
    "Weighted",
    "embedding_graph",
    "get",
    "names",
    "open_engine",
    "prepare",
    "register",
]
