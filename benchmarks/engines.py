"""What engines and precisions cost and change: a row each, against ONNX Runtime in float32.

DATA is a folder or list with defects. PatchCore is fitted on it with default settings in every engine and precision
that this machine has, and judged; then all take turns at one image after another, the backbone alone and the whole
inspection. Scores are compared image by image with those of ONNX Runtime in float32. Each fit picks
its own coreset, and most of a change may come from that.
--speed-only adds backbones with random weights, which take the same time and mean nothing.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import _data
import _results
import kizu
import latency
from kizu import backbones, images
from kizu.backbones import quantise
from kizu.datasets import Dataset, load_dataset
from kizu.errors import KizuError

Images = npt.NDArray[np.uint8]
Embed = Callable[[Images], object]

KEY = ("data", "backbone", "engine", "precision")
CHOICES = (
    ("onnxruntime", "float32"),
    ("onnxruntime", "int8"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
    ("openvino", "int8"),
)


@dataclass(frozen=True)
class Choice:
    """A backbone in one engine and precision, and what was fitted with it, if anything was."""

    engine: str
    precision: str
    graph: bytes
    runs: backbones.Engine
    inspector: kizu.Inspector | None = None
    evaluation: kizu.Evaluation | None = None

    @property
    def name(self) -> str:
        return f"{self.engine} {self.precision}"


def fitted(data: Dataset) -> Iterator[Choice]:
    """PatchCore in every engine and precision there is here."""
    for engine, precision in CHOICES:
        _results.note(f"{data.product}: {engine}, {precision}")
        try:
            inspector = kizu.fit(data, engine=engine, precision=precision)
        except KizuError as error:
            _results.note(f"left out: {error}")
            continue
        evaluation = kizu.evaluate(inspector, data)
        yield Choice(engine, precision, inspector.graph, inspector.engine, inspector, evaluation)


def bare(name: str, pictures: Images) -> Iterator[Choice]:
    """A backbone with random weights in every engine and precision there is here."""
    backbone = backbones.get(name, weights="none")
    layers, side, stride = backbone.card.default_layers, pictures.shape[1], backbone.card.default_patch_stride
    for engine, precision in CHOICES:
        _results.note(f"{name}: {engine}, {precision}")
        used = quantise.Quantised(backbone, pictures[:2]) if precision == "int8" else backbone
        graph = backbones.embedding_graph(used, layers, side, patch_stride=stride)
        try:
            yield Choice(engine, precision, graph, backbones.open_engine(graph, engine=engine, precision=precision))
        except KizuError as error:
            _results.note(f"left out: {error}")


def times(choices: Sequence[Choice], pictures: Images, runs: int, pause: float) -> dict[str, list[float]]:
    """Milliseconds by subject, one a run; everything takes turns."""
    subjects = []
    for choice in choices:
        embed, inspector = choice.runs.embed, choice.inspector

        def backbone(run: int, embed: Embed = embed) -> object:
            return embed(pictures[run % len(pictures)][None])

        subjects.append(latency.timed(f"{choice.name} backbone", backbone))
        if inspector is not None:

            def whole(run: int, inspector: kizu.Inspector = inspector) -> object:
                return inspector.inspect(pictures[run % len(pictures)])

            subjects.append(latency.timed(f"{choice.name} inspection", whole))
    return latency.interleave(subjects, runs, pause)


def rows(data: str, backbone: str, choices: Sequence[Choice], taken: dict[str, list[float]]) -> list[_results.Row]:
    """A row a choice; the first is what the others are compared with."""
    base = choices[0]
    return [
        {
            "data": data,
            "backbone": backbone,
            "engine": choice.engine,
            "precision": choice.precision,
            **_speed("backbone", base, choice, taken),
            **_speed("inspection", base, choice, taken),
            **_quality(base.evaluation, choice.evaluation),
            "int8_error": choice.inspector.provenance["backbone"].get("int8_error") if choice.inspector else None,
            "graph_mib": len(choice.graph) / 2**20,
            "runs": len(taken[f"{choice.name} backbone"]),
        }
        for choice in choices
    ]


def _speed(what: str, base: Choice, choice: Choice, taken: dict[str, list[float]]) -> dict[str, _results.Value]:
    if f"{choice.name} {what}" not in taken:
        return {f"{what}_ratio": None, f"{what}_ms": None}
    median, other = (statistics.median(taken[f"{one.name} {what}"]) for one in (choice, base))
    return {f"{what}_ratio": median / other, f"{what}_ms": median}


def _quality(base: kizu.Evaluation | None, found: kizu.Evaluation | None) -> dict[str, _results.Value]:
    names = ("image_auroc", "image_change", "pixel_auroc", "pixel_change", "score_change", "score_change_max")
    if base is None or found is None:
        return dict.fromkeys(names)
    one, other = ({r.path: r.score for r in evaluation.results} for evaluation in (found, base))
    changes = [abs(one[path] / score - 1) for path, score in other.items()]
    image, pixel = _change(base.image, found.image), _change(base.pixel, found.pixel)
    return dict(zip(names, (*image, *pixel, statistics.median(changes), max(changes)), strict=True))


def _change(base: object, found: object) -> tuple[float | None, float | None]:
    """The AUROC, and how much it changed."""
    one, other = getattr(found, "auroc", None), getattr(base, "auroc", None)
    return one, None if one is None or other is None else one - other


def pictures_of(data: Dataset, count: int, side: int) -> Images:
    """Test images, spread over all of them, as the backbone sees them: ``(count, side, side, 3)``."""
    samples = data.test()
    chosen = [samples[len(samples) * number // count] for number in range(count)]
    return np.stack([images.resize(images.read_image(sample.path), (side, side)) for sample in chosen])


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    data = _data.limited(load_dataset(options.data, seed=0), options.limit)
    choices = list(fitted(data))
    pictures = pictures_of(data, options.queries, choices[0].runs.image_size)
    taken = times(choices, pictures, options.runs, options.pause)
    found = rows(data.product, "efficientnet_lite0", choices, taken)
    for name in options.speed_only:
        side = backbones.get(name).card.default_image_size
        pictures = pictures_of(data, options.queries, side)
        choices = list(bare(name, pictures))
        taken = times(choices, pictures, options.runs // 4 or 1, options.pause)
        found += rows("", name, choices, taken)
    _results.save("engines", found, key=KEY, folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    parser.add_argument("data", type=Path, metavar="DATA", help="a folder or list of images")
    parser.add_argument(
        "--speed-only", type=_results.listed(str), default=["wide_resnet50_2"], help="(wide_resnet50_2)"
    )
    parser.add_argument(
        "--runs", type=int, default=200, help="measurements of each; a quarter for --speed-only (200)"
    )
    parser.add_argument("--queries", type=int, default=50, help="different images inspected (50)")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds of rest before each (0.02)")
    parser.add_argument("--limit", type=int, help="use so many images of each split and kind only, for a quick look")
    return parser


if __name__ == "__main__":
    _results.run(main)
