"""Which backbone to choose: how long each takes, how large it is, and how well PatchCore does on it.

Time: the backbone alone, one image at its default size to its default layers, all backbones in turn, so that what
disturbs the machine disturbs all of them; random weights where the publisher's are not here, which costs the same
time. AUROC: PatchCore with default settings, mean of the seeds, only where the publisher's weights are here: bring
them with ``kizu backbones pull NAME`` or ``kizu backbones add FILE``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import _data
import _results
import kizu
from kizu import backbones
from kizu.errors import BackboneError

KEY = ("backbone",)
BASE = "efficientnet_lite0"
FAMILIES = (
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "wide_resnet50_2",
    "wide_resnet101_2",
)


@dataclass(frozen=True)
class Candidate:
    """A backbone ready to run; ``pretrained`` where the publisher's weights are here."""

    name: str
    card: backbones.BackboneCard
    graph_bytes: int
    engine: backbones.Engine
    images: np.ndarray
    pretrained: bool

    def seconds(self) -> float:
        started = time.perf_counter()
        self.engine.embed(self.images)
        return time.perf_counter() - started


def candidate(name: str) -> Candidate:
    """The backbone with the publisher's weights, or random ones where those are not here."""
    backbone = backbones.get(name)
    card = backbone.card
    try:
        graph, pretrained = _graph(backbone), True
    except BackboneError as error:
        _results.note(f"{name}: random weights, for the time alone ({error})")
        graph, pretrained = _graph(backbones.get(name, weights="none")), False
    images = np.random.default_rng(0).integers(0, 256, (1, card.default_image_size, card.default_image_size, 3))
    engine = backbones.open_engine(graph)
    return Candidate(name, card, len(graph), engine, images.astype(np.uint8), pretrained)


def _graph(backbone: backbones.Backbone) -> bytes:
    card = backbone.card
    stride = card.default_patch_stride
    return backbones.embedding_graph(backbone, card.default_layers, card.default_image_size, patch_stride=stride)


def times(candidates: Sequence[Candidate], rounds: int) -> dict[str, float]:
    """Median milliseconds an image, a round running each once after one that does not count."""
    found: dict[str, list[float]] = {one.name: [] for one in candidates}
    for number in range(rounds + 1):
        for one in candidates:
            seconds = one.seconds()
            if number:
                found[one.name].append(1e3 * seconds)
    return {name: statistics.median(values) for name, values in found.items()}


def aurocs(one: Candidate, options: argparse.Namespace) -> dict[str, _results.Value]:
    """Image AUROC by data set, mean of the seeds; nothing without the publisher's weights."""
    found: dict[str, list[float]] = {}
    for seed in options.seeds:
        for name, data in _data.named(options.data, _data.CELLS if options.solar else (), seed=seed):
            scores = found.setdefault(name, [])
            if one.pretrained:
                _results.note(f"{one.name}, {name}, seed {seed}")
                inspector = kizu.fit(data, backbone=one.name, seed=seed)
                auroc = kizu.evaluate(inspector, data).image.auroc
                scores += [] if auroc is None else [auroc]
    return {f"auroc, {name}": statistics.fmean(scores) if scores else None for name, scores in found.items()}


def measure(options: argparse.Namespace) -> list[dict[str, _results.Value]]:
    candidates = [candidate(name) for name in options.backbones]
    found = times(candidates, options.rounds)
    return [
        {
            "backbone": one.name,
            "weights": "publisher's" if one.pretrained else "random",
            "layers": " ".join(one.card.default_layers),
            "image_size": one.card.default_image_size,
            "dimensions": one.engine.channels,
            "graph_mib": one.graph_bytes / 2**20,
            "ms": found[one.name],
            "ratio": found[one.name] / found[BASE],
            **aurocs(one, options),
        }
        for one in candidates
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _results.parser(__doc__)
    parser.add_argument("data", nargs="*", type=Path, metavar="DATA", help="folders or lists of images")
    parser.add_argument("--solar", action="store_true", help="the solar cells, mono and poly, too")
    parser.add_argument("--backbones", type=_results.listed(str), default=list(FAMILIES), help="(all of kizu's own)")
    parser.add_argument("--seeds", type=_results.listed(int), default=[0, 1, 2], help="(0,1,2)")
    parser.add_argument("--rounds", type=int, default=50, help="timed rounds (50)")
    options = parser.parse_args(arguments)
    if BASE not in options.backbones:
        parser.error(f"--backbones must hold {BASE}, which the others are compared with")
    _results.save("backbones", measure(options), key=KEY, folder=options.results)


if __name__ == "__main__":
    _results.run(main)
