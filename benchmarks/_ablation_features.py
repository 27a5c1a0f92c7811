"""What the ablations look at: pictures with labels, and their patches by how a picture is brought to a backbone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kizu import backbones, images, synthetic
from kizu.datasets import Dataset, split_good
from kizu.workflows._synthesise import HELD_OUT
from synthetic import cells as drawn_cells

LITE0, LITE2 = "efficientnet_lite0", "efficientnet_lite2"
LAYERS = ("blocks.1", "blocks.2", "blocks.4", "blocks.5")
SIDE = 256
STRIDE = 8
MARGIN = 32
"""Pixels of mirrored margin on each side."""

CANVAS = 64
"""Canvases are a multiple of so many pixels: one graph for each size."""

GREY = (124, 116, 104)
"""What a constant margin shows: the mean of ImageNet, nothing to the backbone."""

Float32 = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]
Grid = tuple[int, int]


@dataclass(frozen=True)
class Pictures:
    """``masks``: those of ``bad``, where defects were drawn; None: not known."""

    name: str
    to_fit: Sequence[Image]
    good: Sequence[Image]
    bad: Sequence[Image]
    masks: Sequence[npt.NDArray[np.bool_]] | None = None

    @property
    def tested(self) -> list[Image]:
        return [*self.good, *self.bad]

    @property
    def labels(self) -> npt.NDArray[np.bool_]:
        """Of `tested`: True for a defect."""
        return np.arange(len(self.good) + len(self.bad)) >= len(self.good)


def of_cells(kind: str, count: int) -> Pictures:
    """At most ``count`` good cells to fit on, as many good ones held out, and as many defective ones."""
    found = drawn_cells(kind, (count, count, count), seed=0)
    return Pictures(found.name, found.to_fit, found.good, found.bad)


def of_folder(name: str, data: Dataset, count: int) -> Pictures:
    """Good images alone: at most ``count`` to fit on; held-out ones, and defects drawn on these, as ``kizu data
    synthesise`` does it. Neither defects nor test images of ``data`` are read.
    """
    to_fit, held_out = split_good(data.train_good(), seed=0, share=HELD_OUT)
    good = [images.read_image(sample.path) for sample in held_out[:count]]
    defects = list(synthetic.draw_defects(good, seed=0))
    chosen = np.sort(np.random.default_rng(0).permutation(len(to_fit))[:count])
    fitted = [images.read_image(to_fit[place].path) for place in chosen]
    return Pictures(f"{name}, drawn", fitted, good, [of.image for of in defects], [of.mask for of in defects])


def mirrored(image: Image) -> Image:
    return np.ascontiguousarray(image[:, ::-1])


def normalised(image: Image) -> Image:
    """Every image brought to one mean brightness and contrast."""
    levels = image.astype(np.float32)
    scaled = (levels - levels.mean()) / (levels.std() + 1e-6) * 45 + 115
    return np.asarray(np.clip(np.rint(scaled), 0, 255), np.uint8)


def equalised(image: Image) -> Image:
    """CLAHE: histograms equalised in 4 × 4 places, contrast limited."""
    import cv2

    clahe = cv2.createCLAHE(2.0, (4, 4))
    return np.dstack([clahe.apply(np.ascontiguousarray(image[..., channel])) for channel in range(3)])


CHANGES: Mapping[str, Callable[[Image], Image]] = {
    "": lambda image: image,
    "mirrored": mirrored,
    "normalised": normalised,
    "equalised": equalised,
}
FRAMES = ("squashed", "aspect, constant", "native, mirrored", "native, constant")


@dataclass(frozen=True)
class View:
    """How a picture becomes patches: ``change`` one of `CHANGES`, ``frame`` one of `FRAMES`."""

    backbone: str = LITE0
    side: int = SIDE
    change: str = ""
    frame: str = "squashed"


PLAIN = View()
"""Lite0, 256 px, squashed."""


def framed(image: Image, view: View) -> tuple[Image, slice, slice]:
    """A square canvas for the backbone, and the rows and columns of its grid that show the picture.

    ``squashed``: both sides become ``view.side``. ``aspect``: as many pixels, the aspect kept. ``native``: as it is.
    """
    if view.frame == "squashed":
        whole = slice(0, -(-view.side // STRIDE))
        return images.resize(image, (view.side, view.side)), whole, whole
    height, width = image.shape[:2]
    if view.frame.startswith("aspect"):
        scale = view.side / np.sqrt(height * width)
        height, width = round(height * scale), round(width * scale)
    margin = MARGIN if view.frame.endswith("mirrored") else 0
    canvas = _canvas(images.resize(image, (height, width)), margin)
    first = margin // STRIDE
    rows, columns = (slice(first, first + max(1, round(length / STRIDE))) for length in (height, width))
    return canvas, rows, columns


def _canvas(image: Image, margin: int) -> Image:
    """``image`` on a square: mirrored over and over where there is a ``margin``, else on `GREY`."""
    height, width = image.shape[:2]
    side = -(-(max(height, width) + 2 * margin) // CANVAS) * CANVAS
    down, right = side - height - margin, side - width - margin
    if margin:
        return np.pad(image, ((margin, down), (margin, right), (0, 0)), mode="symmetric")
    canvas = np.full((side, side, 3), GREY, np.uint8)
    canvas[:height, :width] = image
    return canvas


@dataclass(frozen=True)
class Patches:
    """``rows`` ``(N, D)`` float16 in a file, those of images of ``grids`` one after another; the first ``fit`` images
    are learnt from. ``ms``: of the backbone, an image.
    """

    rows: npt.NDArray[np.float16]
    grids: Sequence[Grid]
    fit: int
    channels: Mapping[str, slice]
    ms: float
    starts: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        sizes = [height * width for height, width in self.grids]
        object.__setattr__(self, "starts", np.concatenate([[0], np.cumsum(sizes)]))

    @property
    def tested_grids(self) -> Sequence[Grid]:
        return self.grids[self.fit :]

    def of_image(self, number: int, layers: Sequence[str]) -> Float32:
        """``(P, D)`` float32 of one image."""
        return self._taken(slice(self.starts[number], self.starts[number + 1]), layers)

    def learnt(self, layers: Sequence[str]) -> Float32:
        """``(N, D)`` of all images to learn from."""
        return self._taken(slice(0, self.starts[self.fit]), layers)

    def fitted(self, layers: Sequence[str]) -> Iterator[Float32]:
        return (self.of_image(number, layers) for number in range(self.fit))

    def tested(self, layers: Sequence[str]) -> Iterator[Float32]:
        return (self.of_image(number, layers) for number in range(self.fit, len(self.grids)))

    def _taken(self, rows: slice, layers: Sequence[str]) -> Float32:
        chosen = self.rows[rows]
        return np.concatenate([chosen[:, self.channels[layer]] for layer in layers], axis=1, dtype=np.float32)


class Store:
    """Patches of ``pictures`` by view, in files in ``folder``: of `PLAIN`, and of the other one asked for last."""

    def __init__(self, pictures: Pictures, folder: Path) -> None:
        self.pictures = pictures
        self._folder = folder
        self._made = 0
        self._known: dict[View, Patches] = {}
        self._engines: dict[tuple[str, int], backbones.Engine] = {}

    def get(self, view: View) -> Patches:
        if view not in self._known:
            self._forget()
            self._made += 1
            self._known[view] = self._computed(view, self._file)
        return self._known[view]

    @property
    def _file(self) -> Path:
        """Where the view made last lies."""
        return self._folder / f"{self._made}.float16"

    def _forget(self) -> None:
        """Let the view made last go, but for `PLAIN`; who still reads it keeps it."""
        for view in [known for known in self._known if known != PLAIN]:
            del self._known[view]
            self._file.unlink()

    def _computed(self, view: View, path: Path) -> Patches:
        grids, spent = [], 0.0
        with path.open("wb") as file:
            for picture in chain(self.pictures.to_fit, self.pictures.tested):
                canvas, rows, columns = framed(CHANGES[view.change](picture), view)
                engine = self._engine(view.backbone, len(canvas))
                began = time.perf_counter()
                embedding = engine.embed(canvas[None])[0]
                spent += time.perf_counter() - began
                kept = embedding[rows, columns].astype(np.float16)
                grids.append((kept.shape[0], kept.shape[1]))
                file.write(kept.tobytes())
        channels = _channels(view.backbone)
        found = np.memmap(path, np.float16, "r").reshape(-1, max(part.stop for part in channels.values()))
        return Patches(found, grids, len(self.pictures.to_fit), channels, 1e3 * spent / len(grids))

    def _engine(self, backbone: str, side: int) -> backbones.Engine:
        if (backbone, side) not in self._engines:
            graph = backbones.embedding_graph(backbones.get(backbone), LAYERS, side, patch_stride=STRIDE)
            self._engines[backbone, side] = backbones.open_engine(graph, threads=1)
        return self._engines[backbone, side]


def _channels(backbone: str) -> dict[str, slice]:
    card, first, found = backbones.get(backbone).card, 0, {}
    for name in LAYERS:
        found[name] = slice(first, first + card.layer(name).channels)
        first = found[name].stop
    return found
