"""Solar cells of the package ``elpv-dataset`` as benchmarks want them: so many images, and the default embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kizu import backbones, images
from kizu.datasets import Dataset, Sample
from kizu.datasets.solar_cells import solar_cells

Float32 = npt.NDArray[np.float32]

BACKBONE = "efficientnet_lite0"
SIDE = 256
STRIDE = 8


def good_cells(count: int) -> list[Sample]:
    """The first ``count`` good cells: mono-crystalline ones (588), then poly-crystalline ones (920)."""
    mono, poly = (sorted(solar_cells(kind).samples, key=lambda s: s.path.name) for kind in ("mono", "poly"))
    good = [sample for sample in [*mono, *poly] if sample.label == "good"]
    if count > len(good):
        raise SystemExit(f"there are {len(good)} good cells; {count} were asked for. Ask for fewer.")
    return good[:count]


def defective_cells() -> list[Sample]:
    """The defective mono-crystalline cells."""
    return [sample for sample in solar_cells("mono").samples if sample.label == "bad"]


def dataset(count: int, *, held_out: int = 10) -> Dataset:
    """``count`` good cells to fit on, and ``held_out`` others for the threshold."""
    cells = good_cells(count + held_out)
    to_fit = [replace(sample, split="train") for sample in cells[:count]]
    calibration = [replace(sample, split="calibration") for sample in cells[count:]]
    return Dataset(Path("solar cells"), "benchmark", (*to_fit, *calibration))


def graph(layers: Sequence[str] | None = None) -> bytes:
    """The default backbone with these layers (None: its own choice), as an ONNX model."""
    backbone = backbones.get(BACKBONE)
    return backbones.embedding_graph(
        backbone, tuple(layers or backbone.card.default_layers), SIDE, patch_stride=STRIDE
    )


def engine(layers: Sequence[str] | None = None) -> backbones.OnnxRuntimeEngine:
    """What runs it."""
    return backbones.OnnxRuntimeEngine(graph(layers))


def embeddings(of: backbones.OnnxRuntimeEngine, samples: Sequence[Sample]) -> Iterator[Float32]:
    """``(1, h, w, D)`` an image, in order."""
    for sample in samples:
        yield of.embed(images.resize(images.read_image(sample.path), (SIDE, SIDE))[None])


def rows(layers: Sequence[str], count: int) -> Float32:
    """All patches of ``count`` good cells: ``(count · h · w, D)``."""
    found = engine(layers)
    patches = np.empty((count, *found.grid, found.channels), dtype=np.float32)
    for place, embedding in enumerate(embeddings(found, good_cells(count))):
        patches[place] = embedding[0]
    return patches.reshape(-1, found.channels)
