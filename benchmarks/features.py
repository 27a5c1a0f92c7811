"""From files to embeddings, as a fit does it, against the bare backbone and bare decoding, one after the other.

*Bare decoding* is OpenCV's ``imread`` and the change to RGB; the *bare backbone* a plain ONNX Runtime session with
default options, one resized image at a time. What kizu adds is checks, resizing and the embeddings' memory; what it
saves is that files are decoded while the backbone works. The three take turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import _data
import _results
import _solar
import kizu
import latency
from _stages import Stages
from kizu import backbones, images
from kizu.datasets import Dataset, Sample

KEY = ("data", "layers")


def with_kizu(data: Dataset, layers: Sequence[str]) -> float:
    """Seconds of the stage that reads and embeds, in a fit that keeps a single patch."""
    stages = Stages()
    detector = {"name": "patchcore", "coreset_count": 1}
    kizu.fit(data, layers=tuple(layers), detector=detector, progress=stages)
    return stages.seconds["features"]


def decoding(files: Sequence[Path]) -> float:
    """Seconds to decode files one after another, with nothing around it."""
    import cv2

    started = time.perf_counter()
    for file in files:
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is None:
            raise SystemExit(f"{file}: OpenCV cannot read this alone; give other images")
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return time.perf_counter() - started


def backbone(layers: Sequence[str], files: Sequence[Path]) -> Callable[[], float]:
    """What gives the seconds of the bare backbone for as many images as there are files."""
    session = latency.bare_session(_solar.graph(layers))
    squares = [images.resize(images.read_image(file), (_solar.SIDE, _solar.SIDE))[None] for file in files[:32]]
    session.run(None, {"images": squares[0]})

    def seconds() -> float:
        started = time.perf_counter()
        for number in range(len(files)):
            session.run(None, {"images": squares[number % len(squares)]})
        return time.perf_counter() - started

    return seconds


def measure(name: str, samples: Sequence[Sample], layers: Sequence[str], repeats: int) -> _results.Row:
    """A row: each of the three ``repeats`` times in turn, after once unmeasured."""
    data = Dataset(Path(name), "benchmark", tuple(replace(sample, split="train") for sample in samples))
    files = [sample.path for sample in samples]
    bare = backbone(layers, files)
    runs = [(with_kizu(data, layers), decoding(files), bare()) for _ in range(repeats + 1)][1:]
    ours, decoded, network = (statistics.median(column) / len(files) * 1e3 for column in zip(*runs, strict=True))
    return {
        "data": name,
        "layers": " ".join(layers),
        "images": len(files),
        "ratio": ours / (decoded + network),
        "ms_an_image": ours,
        "decoding_ms": decoded,
        "backbone_ms": network,
        "repeats": repeats,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _options()
    options = parser.parse_args(arguments)
    if not options.data and not options.solar:
        parser.error("name data sets, or give --solar mono")
    rows = []
    for name, data in _data.named(options.data, options.solar or ()):
        samples = [sample for sample in data.samples if sample.split == "train"][: options.images]
        for layers in (options.layers, backbones.get(_solar.BACKBONE).card.default_layers):
            _results.note(f"{name}, {' '.join(layers)}: {len(samples)} images")
            rows.append(measure(name, samples, layers, options.repeats))
    _results.save("features", rows, key=KEY, folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    names = _results.listed(str)
    parser.add_argument("data", nargs="*", type=Path, metavar="DATA", help="folders or lists of images")
    parser.add_argument("--solar", type=_results.listed(str, _data.CELLS), help="solar cells too: mono, poly")
    parser.add_argument("--images", type=int, default=320, help="images to read (320)")
    layers = ["blocks.2", "blocks.4"]
    parser.add_argument("--layers", type=names, default=layers, help="beside the default ones (blocks.2,blocks.4)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each, in turn (5)")
    return parser


if __name__ == "__main__":
    _results.run(main)
