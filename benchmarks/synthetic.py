"""Whether synthetic defects rank configurations as real defects do: solar cells, which come with labels.

Each configuration is fitted on the same good cells. Its AUROC is taken against the same held-out good cells twice:
with the defective cells, and with defects drawn on those good cells, for every strength and size asked for. What
counts is whether the order is the same: Spearman's rank correlation over the configurations, and what the best one by
synthetic defects gives up, in AUROC on real ones.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import _results
import _synthetic_picture
from kizu import backbones, detectors, images, synthetic
from kizu.datasets import Sample
from kizu.datasets.solar_cells import solar_cells
from kizu.metrics import auroc, count_scores

KEY = ("data", "configuration", "strength", "size", "seed")
RANK_KEY = ("data", "strength", "size", "kind")
BACKBONE = "efficientnet_lite0"
STRIDE = 8
AT_ONCE = 8

Float32 = npt.NDArray[np.float32]
Images = Sequence[npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Configuration:
    """What is fitted: input size, layers, detector and its parameters."""

    image_size: int
    layers: tuple[str, ...]
    detector: str = "patchcore"
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        numbers = ",".join(layer.removeprefix("blocks.") for layer in self.layers)
        more = "".join(f" {value}" for value in self.parameters.values())
        return f"{self.detector}{more}, {self.image_size}, blocks.{numbers}"


def configurations() -> list[Configuration]:
    """Fifteen that differ a lot: in size, layers (two of them surely bad ones), coreset and detector."""
    layers = [tuple(f"blocks.{n}" for n in numbers) for numbers in ((1, 2), (2, 4), (4, 5), (1, 2, 4, 5))]
    two, small = {"coreset_ratio": 0.02}, {"coreset_ratio": 0.002}
    found = [Configuration(side, of, parameters=two) for side in (128, 256) for of in layers]
    found += [Configuration(256, (alone,), parameters=two) for alone in ("blocks.0", "blocks.6")]
    found += [Configuration(256, layers[3], parameters=small)]
    found += [Configuration(256, of, "padim") for of in layers[1::2]]
    return found + [Configuration(384, of, parameters=two) for of in layers[1::2]]


@dataclass(frozen=True)
class Cells:
    """Decoded cells: to fit on, good ones held out, defective ones."""

    name: str
    to_fit: Images
    good: Images
    bad: Images


def cells(kind: Any, counts: tuple[int, int, int], seed: int) -> Cells:
    """At most so many of each, drawn by seed."""
    data = solar_cells(kind, seed=seed)
    good, bad = ([s for s in data.test() if s.label == label] for label in ("good", "bad"))
    chosen = [_drawn(of, count, seed) for of, count in zip((data.train_good(), good, bad), counts, strict=True)]
    to_fit, held_out, defective = ([images.read_image(sample.path) for sample in of] for of in chosen)
    return Cells(f"solar cells, {kind}", to_fit, held_out, defective)


def _drawn(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    places = np.sort(np.random.default_rng(seed).permutation(len(samples))[:count])
    return [samples[place] for place in places]


class Fitted:
    """A configuration on the cells to fit on; scores others."""

    def __init__(self, configuration: Configuration, to_fit: Images, seed: int) -> None:
        backbone = backbones.get(BACKBONE)
        side = configuration.image_size
        graph = backbones.embedding_graph(backbone, configuration.layers, side, patch_stride=STRIDE)
        self._engine = backbones.OnnxRuntimeEngine(graph)
        self._side = side
        self._detector = detectors.build(configuration.detector, configuration.parameters)
        embeddings = list(self._embeddings(to_fit))
        self._detector.fit(embeddings, images=len(to_fit), rng=np.random.default_rng(seed))

    def scores(self, of: Images) -> Float32:
        return np.concatenate([self._detector.score(batch).images for batch in self._embeddings(of)])

    def _embeddings(self, of: Images) -> Iterator[Float32]:
        size = (self._side, self._side)
        for first in range(0, len(of), AT_ONCE):
            yield self._engine.embed(np.stack([images.resize(image, size) for image in of[first : first + AT_ONCE]]))


def measure(configuration: Configuration, data: Cells, drawn: dict[Any, Any], seed: int) -> list[_results.Row]:
    """A row a strength and size."""
    fitted = Fitted(configuration, data.to_fit, seed)
    good, bad = fitted.scores(data.good), fitted.scores(data.bad)
    rows: list[_results.Row] = []
    for (strength, size), defects in drawn.items():
        scores = fitted.scores([defect.image for defect in defects])
        kinds = np.array([defect.kind for defect in defects])
        row = {"data": data.name, "configuration": configuration.name, "strength": strength, "size": size}
        of_kinds = {f"auroc, {kind}": _auroc(good, scores[kinds == kind]) for kind in synthetic.KINDS}
        figures = {"auroc, real": _auroc(good, bad), "auroc, synthetic": _auroc(good, scores), **of_kinds}
        rows.append({**row, "seed": seed, **figures})
    return rows


def _auroc(good: Float32, bad: Float32) -> float:
    scores = np.concatenate([good, bad])
    found = auroc(count_scores(scores, np.arange(len(scores)) >= len(good)))
    return float("nan") if found is None else found


def ranks(rows: Sequence[dict[str, str]]) -> list[_results.Row]:
    """How alike the orders are, a row a data set, strength, size and kind (``synthetic``: every kind together).

    Of each data set those configurations count that were measured at every strength and size.
    """
    groups: dict[tuple[str, str, str], dict[str, dict[str, str]]] = {}
    for row in rows:
        groups.setdefault((row["data"], row["strength"], row["size"]), {})[row["configuration"]] = row
    found: list[_results.Row] = []
    for (data, strength, size), group in groups.items():
        everywhere = set.intersection(*(set(other) for (name, *_), other in groups.items() if name == data))
        kept = [row for name, row in group.items() if name in everywhere]
        place = {"data": data, "strength": strength, "size": size}
        found += [{**place, **_agreement(kept, kind)} for kind in ("synthetic", *synthetic.KINDS)]
    return found


def _agreement(rows: Sequence[dict[str, str]], kind: str) -> _results.Row:
    real, drawn = (np.array([float(row[f"auroc, {of}"]) for row in rows]) for of in ("real", kind))
    return {
        "kind": kind,
        "configurations": len(rows),
        "auroc_real": float(real.mean()),
        "auroc_synthetic": float(drawn.mean()),
        "spearman": spearman(real, drawn),
        "given_up": float(real.max() - real[drawn.argmax()]),
        "range": float(real.max() - real.min()),
    }


def spearman(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """The correlation of ranks, equal values sharing theirs; 0 where one has no order."""
    places = [(values[:, None] > values).sum(1) + (values[:, None] == values).sum(1) / 2 for values in (one, other)]
    if min(place.std() for place in places) == 0:
        return 0.0
    return float(np.corrcoef(*places)[0, 1])


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    if options.picture is not None:
        _synthetic_picture.draw(options.picture)
        return
    for seed, kind in itertools.product(options.seeds, options.cells):
        data = cells(kind, (options.fit, options.good, options.bad), seed)
        levels = itertools.product(options.strengths, options.sizes)
        drawn = {level: list(_draw(data, *level, seed)) for level in levels}
        for configuration in configurations()[: options.configurations]:
            _results.note(f"{data.name}, {configuration.name}")
            rows = measure(configuration, data, drawn, seed)
            path = _results.save("synthetic", rows, key=KEY, folder=options.results)
    _results.save("synthetic_ranks", ranks(_results.read(path)), key=RANK_KEY, folder=options.results)


def _draw(data: Cells, strength: float, size: float, seed: int) -> Iterator[synthetic.SyntheticDefect]:
    return synthetic.draw_defects(data.good, seed=seed, strength=strength, size=size)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    parser.add_argument("--cells", type=_results.listed(str), default=["mono", "poly"], help="(mono,poly)")
    parser.add_argument("--strengths", type=_results.listed(float), default=[0.5, 1.0, 2.0], help="(0.5,1,2)")
    parser.add_argument("--sizes", type=_results.listed(float), default=[0.5, 1.0, 2.0, 4.0], help="(0.5,1,2,4)")
    parser.add_argument("--configurations", type=int, default=15, metavar="N", help="the first N of 15 only")
    parser.add_argument("--fit", type=int, default=80, metavar="N", help="good cells to fit on (80)")
    parser.add_argument("--good", type=int, default=100, metavar="N", help="good cells held out (100)")
    parser.add_argument("--bad", type=int, default=150, metavar="N", help="defective cells (150)")
    parser.add_argument("--seeds", type=_results.listed(int), default=[0], help="(0)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="measure nothing: draw every kind of defect")
    return parser


if __name__ == "__main__":
    _results.run(main)
