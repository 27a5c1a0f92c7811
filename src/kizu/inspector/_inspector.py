"""The one path from an image to its score: resize → backbone → detector → map → verdict."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn, overload

import numpy as np
import numpy.typing as npt

from kizu import backbones, config, detectors, images, maps
from kizu.arguments import path_of
from kizu.calibration import Calibration
from kizu.config import Config
from kizu.errors import DataError, ImageError, ModelFileError, NotFittedError, ParameterError, sentence
from kizu.inspector import _model_file
from kizu.inspector._area_file import area_from_png, to_png
from kizu.inspector._frame import Frame, Sight
from kizu.inspector._prediction import Prediction
from kizu.inspector._running import engine_choice, known_graph, shared_engine, to_look
from kizu.inspector._tiles import middle_tile, some_tiles, strips
from kizu.threads import one_of_several, to_first_core

Image = npt.NDArray[Any]
"""Samples ``(H, W, 3)`` as `kizu.images.Reading` reads them: uint8, with a window also uint16 or floats."""

ENLARGED = 2
"""Times the size that images are resized to, which reduced JPEG files must still have."""

Float32 = npt.NDArray[np.float32]
Source = str | os.PathLike[str] | Image
Opener = Callable[[Config, _model_file.Content], backbones.Engine]
Sources = list[Source] | tuple[Source, ...] | set[str] | set[Path] | Iterator[Source]


@dataclass(frozen=True, kw_only=True, eq=False)
class Inspector:
    """Preprocessing, backbone, detector and calibration of one product.

    ``config`` is complete: fitting with it again gives the same inspector. ``graph`` is the backbone as a
    serialised ONNX model, uint8 images in (with a window float32), embeddings out. ``provenance``: versions and data
    it was made from. ``check_files``: a few good images as PNG files, which exports are checked on. ``area``: the
    part of an image that is inspected; None: all of it.
    """

    config: config.Config
    graph: bytes = field(repr=False)
    detector: detectors.Detector
    calibration: Calibration | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    check_files: tuple[bytes, ...] = field(default=(), repr=False)
    area: images.Area | None = None
    engine: backbones.Engine = field(repr=False)

    def __copy__(self) -> Inspector:
        return replace(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an inspector cannot be pickled or copied deeply: its engine runs in this process alone. Save it, and "
            "kizu.load() the file in each process."
        )

    @property
    def preprocessing(self) -> images.Preprocessing:
        """What becomes of an image before the backbone sees it."""
        return images.Preprocessing(self.engine.image_size, self.config.resize, self.config.keep_aspect)

    @property
    def reading(self) -> images.Reading:
        """How files are read for this inspector, and what its backbone sees of their samples."""
        window = self.config.window
        if window == "auto":
            raise ValueError("the window has not been found yet")
        smallest = ENLARGED * (self.config.resize or self.engine.image_size) if self.config.reduced_jpeg else None
        return images.Reading(window, self.config.channels, smallest)

    @property
    def check_images(self) -> tuple[Image, ...]:
        """``check_files``, decoded: samples ``(H, W, 3)`` RGB each. Raises `ImageError` for one that is damaged."""
        return tuple(images.decode_samples(data, f"check/{n}.png") for n, data in enumerate(self.check_files))

    @property
    def tiling(self) -> images.Tiling | None:
        """How images are cut into tiles; None: they are not."""
        config, side = self.config, self.engine.image_size
        if config.tile_size is None or config.tile_lattice is None:
            return None
        return images.tiling_of(
            side=side,
            size=config.tile_size,
            stride=config.tile_stride,
            border=config.tile_border,
            lattice=config.tile_lattice,
            patch=side // self.engine.grid[0],
        )[0]

    def frame(self, size: tuple[int, int]) -> Frame:
        """How an image of ``size`` (H, W) is looked at. Raises `DataError` where the area is of another size."""
        return Sight(self.preprocessing, self.engine.grid, self.tiling, self.area).frame((size[0], size[1]))

    def embed(self, image: Image) -> Float32:
        """``(H, W, 3)`` RGB samples → the embedding ``(1, h, w, D)`` float32; ``(1, 1, n, D)`` where only some
        patches lie in the inspected area.

        Raises `ParameterError` for an array of another shape, or too small. Raises `DataError` where these are other
        patches than those of images that the area was drawn for, and the
        detector learns each position.
        """
        _check_samples(image)
        frame = self.frame(image.shape[:2])
        self._check_positions(frame)
        if self.tiling is None:
            seen = self.preprocessing.apply(self.reading.levels(frame.cropped(image)))
            return frame.counting(self.engine.embed(seen[None])[0])[None]
        parts = [part for _, part in strips(self.engine, frame, self.reading.levels(image))]
        return np.concatenate(parts, axis=0 if frame.counts is None else 1)[None]

    def _check_positions(self, frame: Frame) -> None:
        if self.area is None or not self.detector.position_bound or frame.alike(self.frame(self.area.size)):
            return
        drawn, this = (f"{width} x {height}" for height, width in (self.area.size, frame.size))
        raise DataError(
            f"other patches lie in the inspected area of a {this} image than of the {drawn} images it was drawn for, "
            f"and {self.detector.name} learns each position. Give images of that size, or use --detector patchcore."
        )

    def glimpse(self, image: Image) -> Image:
        """What the backbone sees of ``(H, W, 3)`` RGB samples, levels ``(N, N, 3)``: where there are tiles, the
        middle one.
        """
        frame, image = self.frame(image.shape[:2]), self.reading.levels(image)
        return self.preprocessing.apply(frame.cropped(image)) if self.tiling is None else middle_tile(frame, image)

    def embed_some(self, image: Image, rng: np.random.Generator) -> Float32:
        """As many tiles as ``random_tiles`` says, drawn by ``rng``: the embedding ``(1, 1, n, D)`` of their patches;
        all where it does not say.
        """
        if self.config.random_tiles is None:
            return self.embed(image)
        frame = self.frame(image.shape[:2])
        return some_tiles(self.engine, frame, self.reading.levels(image), self.config.random_tiles, rng)

    def measure(self, image: Image) -> tuple[float, Float32]:
        """The score and the anomaly map of ``(H, W, 3)`` RGB samples, without a verdict.

        Tiles are scored row by row where the detector can, so that no more embeddings need be held. Raises
        `DataError` for scores that are not finite numbers, `ParameterError` for a detector that breaks its word.
        """
        if self.tiling is None or self.detector.position_bound:
            if not one_of_several():
                to_first_core()  # ONNX Runtime binds its own threads to the others
            scores = self._scores(self.embed(image))
            return float(scores.images[0]), self.map_of(scores.patches[0], image.shape[:2])
        frame = self.frame(image.shape[:2])
        levels = self.reading.levels(image)
        found = [self._scores(part[None]) for _, part in strips(self.engine, frame, levels)]
        patches = np.concatenate([one.patches[0] for one in found], axis=0 if frame.counts is None else 1)
        highest = max(found, key=lambda one: float(one.patches.max()))
        return float(highest.images[0]), self.map_of(patches, image.shape[:2])

    def _scores(self, embedding: Float32) -> detectors.Scores:
        return detectors.checked_scores(self.detector.score(embedding), embedding.shape[:3], self.detector.name)

    def map_of(self, patches: Float32, size: tuple[int, int]) -> Float32:
        """The anomaly map of the patch scores ``(h, w)`` of an image of ``size`` (H, W)."""
        side = 256 if self.tiling else self.engine.image_size
        sigma = maps.default_sigma(side) if self.config.sigma is None else self.config.sigma
        return self.frame(size).anomaly_map(patches, sigma)

    def truth_of(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """A mask ``(H, W)`` of an image → one of its anomaly map."""
        return self.frame((mask.shape[0], mask.shape[1])).apply_mask(mask)

    def inspect(self, image: Image, path: Path | None = None) -> Prediction:
        """Score one decoded image: RGB ``(H, W, 3)`` or grey ``(H, W)``, uint8; with a window, samples as the camera
        gives them, uint16 or floats.

        Raises `ParameterError` for what is no array, or of another shape or dtype, `DataError` for another size than
        the area or the detector can take, `NotFittedError` without a calibration.
        """
        if self.calibration is None:
            raise NotFittedError("this inspector has no calibration; make it with kizu.fit().")
        started = time.perf_counter()
        try:
            score, anomaly_map = self.measure(self.reading.checked(image))
        except DataError as error:
            raise DataError(f"{path}: {error}" if path else str(error)) from None
        size = (image.shape[0], image.shape[1]) if path is None else self.reading.size_of(path, image)
        return Prediction(
            path=path,
            score=score,
            threshold=self.calibration.threshold,
            review_threshold=self.calibration.review_threshold,
            p_value=self.calibration.p_value(score),
            pixel_threshold=self.calibration.pixel_threshold,
            verdict=self.calibration.verdict(score),
            milliseconds=(time.perf_counter() - started) * 1e3,
            size=size,
            seen=self.frame(size).seen,
            anomaly_map=anomaly_map,
            inside=self.frame(size).inside,
        )

    @overload
    def predict(self, source: Source) -> Prediction: ...

    @overload
    def predict(self, source: Sources) -> list[Prediction]: ...

    def predict(self, source: Source | Sources) -> Prediction | list[Prediction]:
        """Inspect an image (an array or the path of a file), or each of several.

        Raises `ImageError` for a file that cannot be read, `ParameterError` for what is neither array nor path.
        """
        if isinstance(source, Iterable) and not isinstance(source, _NEVER_SEVERAL):
            return [self._predicted(one) for one in source]
        return self._predicted(source)

    def _predicted(self, source: object) -> Prediction:
        if isinstance(source, np.ndarray):
            return self.inspect(source)
        if not isinstance(source, str | os.PathLike):
            raise images.not_an_image(source)
        path = path_of(source)
        return self.inspect(self.reading.read(path), path)

    def calibrated(self, calibration: Calibration) -> Inspector:
        """This inspector deciding by ``calibration``."""
        return replace(self, calibration=calibration)

    def save(self, path: str | Path) -> None:
        """Write ``NAME.kizu``, wholly or not at all. Raises `OutputError`."""
        if self.calibration is None:
            raise NotFittedError("this inspector has no calibration; make it with kizu.fit().")
        manifest = {
            "config": self.config.document(),
            "detector": {"name": self.detector.name, "parameters": self.detector.parameters()},
            "calibration": self.calibration.to_dict(),
            "provenance": dict(self.provenance),
        }
        if self.area is not None:
            manifest["area"] = {"scales": self.area.scales}
        _model_file.write(
            Path(path), manifest, self.graph, self.detector.state(), self.check_files, to_png(self.area)
        )

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        exact: bool = False,
        threads: int | None = None,
        engine: str | None = None,
        precision: str | None = None,
        providers: str | Sequence[str] | None = None,
        mapped: bool = False,
    ) -> Inspector:
        """Read ``NAME.kizu``. ``exact`` switches approximate search off.

        Inspectors of one backbone, engine, precision and number of threads share one engine in memory.
        ``mapped`` leaves what the detector learnt in the file, to be read as it is looked at: for programs that hold
        many models. Nothing may then be written into the file; replacing it by another is safe, but on Windows, where
        it is refused as long as the inspector lives.

        ``engine``, ``precision`` and ``providers`` are those of the fit unless given here; ``config`` keeps telling
        of the fit.

        Raises:
            ModelFileError: the file is missing, damaged, altered or of a newer schema.
            ParameterError: there is no such engine, precision or provider here, or the model cannot run in it.
            MissingExtraError: the engine's package is not installed.
        """

        def opened(settings: Config, content: _model_file.Content) -> backbones.Engine:
            chosen = engine_choice(settings, engine, precision, providers, threads)
            return shared_engine(content.graph, content.graph_id, chosen)

        return cls._read(Path(path), opened, exact=exact, mapped=mapped)

    @classmethod
    def look(cls, path: str | Path) -> Inspector:
        """Read ``NAME.kizu`` to see what it is, with the engine that every machine has.

        Raises `ModelFileError` as `load`.
        """
        return cls._read(
            Path(path), lambda settings, content: shared_engine(content.graph, content.graph_id, to_look(settings))
        )

    @classmethod
    def _read(cls, path: Path, opened: Opener, *, exact: bool = False, mapped: bool = False) -> Inspector:
        content = _model_file.read(path, mapped=mapped, known=known_graph)
        try:
            detector = _restore_detector(content)
            settings = config.parse(content.manifest["config"])
            calibration = Calibration.from_dict(content.manifest["calibration"])
            provenance = dict(content.manifest["provenance"])
            area = area_from_png(content.area, content.manifest.get("area"))
        except _NotInstalledError as error:
            raise ModelFileError(f"{path}: {error}") from None
        except (KeyError, TypeError, ValueError, ParameterError, ImageError, DataError, ModelFileError) as error:
            problem = f"it lacks {error}." if isinstance(error, KeyError) else sentence(error)
            raise ModelFileError(f"{path}: the model file is damaged: {problem} Restore it or fit again.") from None
        if exact:
            detector.search_exactly()
        try:
            engine = opened(settings, content)
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from None
        content.release()
        return cls(
            config=settings,
            graph=content.graph,
            detector=detector,
            calibration=calibration,
            provenance=provenance,
            check_files=content.checks,
            area=area,
            engine=engine,
        )


_NEVER_SEVERAL = (str, bytes, bytearray, memoryview, os.PathLike, np.ndarray, Mapping, io.IOBase)
"""What can be gone through, but is no images."""


def _check_samples(image: Image) -> None:
    if not isinstance(image, np.ndarray):
        raise images.not_an_image(image)
    if image.ndim != 3 or image.shape[2] != 3:
        raise ParameterError(f"`image` must be samples (H, W, 3); got {image.shape}. `inspect` takes grey ones too.")
    images.check_sides(image)


class _NotInstalledError(ModelFileError):
    """A model file is whole, but not what it takes to use it."""


def _restore_detector(content: _model_file.Content) -> detectors.Detector:
    described = content.manifest["detector"]
    name = described["name"]
    try:
        detectors.detector_class(name)
    except ParameterError as error:
        problem = f"needs the detector {name!r}, which cannot be had here: {sentence(error)}"
        raise _NotInstalledError(f"{problem} Install the package that brings it.") from None
    return detectors.restore(described["name"], described["parameters"], content.arrays)
