"""An export as OpenVINO's intermediate representation: ``part.xml`` and ``part.bin``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from kizu.backbones.engines.openvino import import_openvino
from kizu.exports._formats import Results, Run
from kizu.exports._graph import IMAGE, Exportable
from kizu.exports._onnx import OnnxFormat, refused


class OpenVinoFormat:
    """``part.xml`` with ``part.bin`` beside it; weights as they are, not halved to 16 bits."""

    suffix = ".xml"

    @staticmethod
    def beside(path: Path) -> Path:
        """As `Format.beside`."""
        return path.with_suffix(".bin")

    def __init__(self, exportable: Exportable, path: Path) -> None:
        openvino = import_openvino()
        self._path = path
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            onnx = OnnxFormat(exportable, Path(folder) / "graph.onnx")
            onnx.write({})
            try:
                self._model = openvino.convert_model(Path(folder) / "graph.onnx")
            except Exception as error:  # OpenVINO's own exceptions share no base class
                raise refused("OpenVINO", error) from error

    def write(self, metadata: Mapping[str, str]) -> None:
        """As `Format.write`; the metadata are runtime information under ``kizu``."""
        for key, value in metadata.items():
            self._model.set_rt_info(value, key.split("."))
        try:
            import_openvino().save_model(self._model, self._path, compress_to_fp16=False)
        except RuntimeError as error:
            raise OSError(" ".join(str(error).split())) from error

    def open(self) -> Run:
        """As `Format.open`, on the CPU in float32: left alone, newer ones compute in bfloat16."""
        openvino = import_openvino()
        try:
            compiled = openvino.Core().compile_model(self._path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        except Exception as error:
            raise refused("OpenVINO", error) from error

        def run(image: NDArray[Any]) -> Results:
            try:
                found = compiled({IMAGE: image})
            except Exception as error:
                raise refused("OpenVINO", error) from error
            return {name: found[output] for output in compiled.outputs for name in output.get_names()}

        return run
