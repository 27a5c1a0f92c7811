"""int8: the backbone brought to 8 bits with good images of the fit, before the detector sees any of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from kizu import backbones
from kizu.backbones import quantise
from kizu.config import Config
from kizu.datasets import Sample
from kizu.errors import BackboneError
from kizu.inspector import Inspector
from kizu.progress import Progress
from kizu.wording import percent
from kizu.workflows._reading import Image, Reader, naming

_JUDGED = 8
"""Good images on which the quantised backbone is compared with the float one, and as many strange ones."""


def graph_of(config: Config, backbone: backbones.Backbone) -> bytes:
    """The graph from images to embeddings that a complete configuration asks for."""
    if config.layers is None or config.image_size is None:
        raise ValueError("the configuration is not resolved")
    return backbones.embedding_graph(
        backbone,
        config.layers,
        config.image_size,
        patch_stride=config.patch_stride,
        patch_size=config.patch_size,
        interpolation=config.interpolation,
        embedding_dims=config.embedding_dims,
        dtype="uint8" if config.window is None else "float32",
    )


def quantised(
    inspector: Inspector, backbone: backbones.Backbone, reader: Reader, samples: Sequence[Sample], progress: Progress
) -> tuple[Inspector, float]:
    """An unfitted inspector with its backbone in 8 bits, and the error that costs (`kizu.backbones.quantise.error`).

    Ranges are measured on 32 of the samples, drawn by the seed. ``inspector`` runs in float32.

    Raises `BackboneError` when too little of the features is left.
    """
    chosen = _chosen(samples, inspector.config.seed)
    with progress.stage("Quantising the backbone", 3 * len(chosen)) as advance:
        with closing(reader.again().images(chosen, advance)) as read:
            images = np.stack([_glimpsed(inspector, sample, image) for sample, image in read])
        graph = graph_of(inspector.config, quantise.Quantised(backbone, images, inspector.config.seed, advance))
        advance(2 * (len(chosen) - len(images)))
    config = inspector.config
    engine = backbones.open_engine(graph, engine=config.engine, precision="int8", providers=config.providers)
    odd = quantise.strange(images[:_JUDGED], np.random.default_rng(config.seed + 1))  # not those of the ranges
    judged = np.concatenate([images[:_JUDGED], odd]).astype(engine.dtype)
    changed = _error(backbone.card.name, engine, inspector.engine, judged)
    return replace(inspector, graph=graph, engine=engine), changed


def _glimpsed(inspector: Inspector, sample: Sample, image: Image) -> npt.NDArray[np.uint8]:
    """What the backbone sees of an image, ``(N, N, 3)``."""
    with naming(sample):
        return np.rint(inspector.glimpse(image)).astype(np.uint8)


def _chosen(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """At most `quantise.IMAGES` samples, drawn by the seed, in their own order."""
    order = np.random.default_rng(seed).permutation(len(samples))
    return [samples[place] for place in sorted(order[: quantise.IMAGES])]


def _error(name: str, coarse: backbones.Engine, plain: backbones.Engine, images: Image) -> float:
    found = quantise.error(coarse.embed(images), plain.embed(images))
    if not found <= quantise.LARGEST_ERROR:
        raise BackboneError(
            f"{name} does not bear 8 bits: its features change by {percent(found)} of their spread, "
            f"{percent(quantise.LARGEST_ERROR)} is the most kizu takes. Use --precision float32."
        )
    return round(found, 4)
