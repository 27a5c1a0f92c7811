"""A model → files for runtimes that know nothing of kizu, written once they agree with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kizu._version import __version__
from kizu.arguments import Paths, paths_of
from kizu.downloads import checksum
from kizu.errors import DataError, ParameterError
from kizu.files import check_writable, keep_others, says_late
from kizu.images import DEFAULT_MAX_PIXELS
from kizu.inspector import Inspector
from kizu.progress import Progress, Silent
from kizu.workflows._image_files import find_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kizu.exports import Agreement, CheckImage, Format


@dataclass(frozen=True)
class Export:
    """Files written, the one users name first, and how far they are from the model. ``search`` is the model's own,
    ``image_size`` that of the images they take: ``any``, or ``WIDTH x HEIGHT``; ``dtype`` the type of their samples.
    """

    files: tuple[Path, ...]
    colour: str
    image_size: str
    agreement: Agreement
    search: str
    dtype: str = "uint8"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.stat().st_size for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        agreement = self.agreement
        return {
            "files": [str(file) for file in self.files],
            "bytes": self.size,
            "colour": self.colour,
            "image_size": self.image_size,
            "dtype": self.dtype,
            "search": {"model": self.search, "export": "exact"},
            "checked": {"images": agreement.images, "score": agreement.score, "map": agreement.map},
            "milliseconds": round(agreement.milliseconds, 3),
            "model_milliseconds": round(agreement.inspector_milliseconds, 3),
        }


def export(
    model: str | Path,
    out: str | Path,
    *,
    to: str = "onnx",
    colour: str = "rgb",
    images: Paths = (),
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Progress | None = None,
) -> Export:
    """Write a model for ONNX Runtime (``to="onnx"``, ``out`` is ``NAME.onnx``) or OpenVINO (``NAME.xml``).

    The files take an image as it is decoded, ``(height, width, 3)`` uint8 with its channels in the order of
    ``colour`` (of a model with a window the camera's samples, as float32), and give score, map and decision
    (`kizu.exports.write_inspector`). They appear only after they have agreed with the model, on the images kept in it
    and on ``images``, a file or folder or several.

    Raises:
        ModelFileError: the model is missing or damaged.
        ParameterError: an unknown form or colour order, or a name that does not end as it should.
        DataError: there are no images to check with; `ImageError` names a file.
        ExportError: the model cannot be exported, or what was written does not agree with it.
        OutputError: the files cannot be written, or one of that name is there that is no export.
        MissingExtraError: OpenVINO is asked for and not installed.
    """
    from kizu import exports

    target, progress = Path(out), progress or Silent()
    form = exports.format_of(to)
    _check_target(target, form, to)
    inspector, identity = Inspector.load(model), checksum.of(Path(model))
    exports.require_exportable(inspector)
    search = str(inspector.detector.summary().get("search", "exact"))
    inspector.detector.search_exactly()
    to_check = _images(Path(model), inspector, images, max_pixels)
    written = exports.write_inspector(inspector, colour=colour, progress=progress)
    metadata = _described(inspector, identity, colour)
    with exports.staged(target) as folder:
        files = form(written, folder / target.name)
        agreement = _checked(files, metadata, inspector, to_check, colour, progress)
        names = sorted((file.name for file in folder.iterdir()), key=lambda name: name != target.name)
    paths = tuple(target.with_name(name) for name in names)
    return Export(paths, colour, _size(inspector), agreement, search, inspector.engine.dtype)


def _checked(
    files: Format,
    metadata: dict[str, str],
    inspector: Inspector,
    images: Sequence[CheckImage],
    colour: str,
    progress: Progress,
) -> Agreement:
    """Write, compare, and write again with what came out; that too must then agree."""
    from kizu import exports

    files.write(metadata)
    with progress.stage("Checking the export", len(images)) as advance:
        agreement = exports.compare(files.open(), inspector, images, colour, advance)
    found = {"images": agreement.images, "score": _brief(agreement.score), "map": _brief(agreement.map)}
    files.write({**metadata, "kizu.checked": json.dumps(found)})
    exports.compare(files.open(), inspector, images[:1], colour)
    return agreement


def _brief(share: float) -> float:
    """Two digits: enough to judge by."""
    return float(f"{share:.1e}")


def _check_target(target: Path, form: type[Format], to: str) -> None:
    if target.suffix.lower() != form.suffix:
        raise ParameterError(f"{target}: an export to {to} must end in {form.suffix}; give such a name.")
    check_writable(target)
    keep_others(target, _is_export, "export")
    keep_others(form.beside(target), lambda _: target.exists(), "export")  # it goes with the file of that name


def _is_export(path: Path) -> bool:
    """Whether it is an export by kizu: what `_described` says of it stands at its end in every format."""
    return says_late(path, b"model_sha256")


def _images(model: Path, inspector: Inspector, given: Paths, max_pixels: int) -> list[CheckImage]:
    """What to check with: the model's own images and those the user gave."""
    from kizu.exports import CheckImage, check_images

    paths = paths_of(given)
    files = find_files(paths) if paths else []
    named = [CheckImage(str(path), inspector.reading.read(path, max_pixels=max_pixels)) for path in files]
    own = _fitting(inspector, inspector.check_images)
    for image in named:
        if not _fitting(inspector, [image.pixels]):
            raise DataError(
                f"{image.name}: an export of this model takes {_size(inspector)} images, this is another."
            )
    if not own and not named:
        raise DataError(
            f"{model}: holds no images to check an export with (it is of an older kizu, or was fitted with "
            "check_images 0). Give some good ones with --images PATH."
        )
    return check_images(own, named, any_size=inspector.area is None)


def _fitting(inspector: Inspector, images: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
    """Those that an export takes: with an inspected area those of the size it was drawn for."""
    area = inspector.area
    return tuple(image for image in images if area is None or image.shape[:2] == area.size)


def _size(inspector: Inspector) -> str:
    return "any" if inspector.area is None else f"{inspector.area.size[1]} x {inspector.area.size[0]}"


def _described(inspector: Inspector, identity: str, colour: str) -> dict[str, str]:
    """What the files say of themselves."""
    preprocessing = inspector.preprocessing
    geometry: dict[str, Any] = {
        "image_size": preprocessing.image_size,
        "resize": preprocessing.resize,
        "keep_aspect": preprocessing.keep_aspect,
        "grid": list(inspector.engine.grid),
    }
    if inspector.area is not None:
        box = inspector.frame(inspector.area.size).crop
        geometry["image"] = list(inspector.area.size)
        geometry["seen"] = [box.top, box.left, box.height, box.width]
    window = inspector.reading.window
    return {
        "kizu.version": __version__,
        "kizu.model_sha256": identity,
        "kizu.config": inspector.config.model_dump_json(),
        "kizu.map": json.dumps(geometry),
        "kizu.colour": colour,
        "kizu.search": "exact",
        **({} if window is None else {"kizu.window": json.dumps(window)}),
    }
