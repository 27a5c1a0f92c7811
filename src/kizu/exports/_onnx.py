"""An export as an ONNX file, with its arrays in a second file where they are too large for one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from kizu import onnx_runtime
from kizu._version import __version__
from kizu.errors import ExportError
from kizu.exports._formats import Results, Run
from kizu.exports._graph import IMAGE, Exportable
from kizu.graphs import LARGEST_MESSAGE, Constant

LARGEST_FILE = LARGEST_MESSAGE - 2**26
"""Bytes of arrays above which they go to a file of their own; what is left is for the nodes."""

SMALLEST_EXTERNAL = 1024
"""Bytes of an array that is worth a place there."""

ALIGNMENT = 4096
"""Of each array in that file, so that it can be mapped into memory."""


class OnnxFormat:
    """``part.onnx``, and ``part.onnx.data`` beside it where one file cannot hold 2 GiB (a limit of protobuf)."""

    suffix = ".onnx"

    @staticmethod
    def beside(path: Path) -> Path:
        """As `Format.beside`."""
        return path.with_name(f"{path.name}.data")

    def __init__(self, exportable: Exportable, path: Path) -> None:
        self._path = path
        constants = exportable.graph.constants
        if sum(_size(constant) for constant in constants) > LARGEST_FILE:
            location = self.beside(path).name
            with self.beside(path).open("wb") as file:
                self._model = exportable.graph.model(exportable.outputs, _DataFile(file, location).stored)
        else:
            self._model = exportable.graph.model(exportable.outputs)
        self._model.producer_version = __version__

    def write(self, metadata: Mapping[str, str]) -> None:
        """As `Format.write`; the arrays' own file is written once, when this is made."""
        del self._model.metadata_props[:]
        helper.set_model_props(self._model, dict(metadata))
        self._path.write_bytes(self._model.SerializeToString(deterministic=True))

    def open(self) -> Run:
        """As `Format.open`, by ONNX Runtime as it comes, on the CPU."""
        onnxruntime = onnx_runtime.imported()

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        try:
            onnx.checker.check_model(str(self._path))
            session = onnxruntime.InferenceSession(str(self._path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the two packages' own exceptions share no base class
            raise refused("ONNX Runtime", error) from error
        names = [output.name for output in session.get_outputs()]

        def run(image: NDArray[Any]) -> Results:
            try:
                return dict(zip(names, session.run(names, {IMAGE: image}), strict=True))
            except Exception as error:
                raise refused("ONNX Runtime", error) from error

        return run


def refused(runtime: str, error: Exception) -> ExportError:
    """For a runtime that does not take what was written; nothing is left of that."""
    return ExportError(
        f"{runtime} cannot run the export: {' '.join(str(error).split())} Nothing was written. Update the package, "
        "or report this."
    )


class _DataFile:
    """The file beside the graph, called ``location`` there: arrays one after another."""

    def __init__(self, file: BinaryIO, location: str) -> None:
        self._file = file
        self._location = location

    def stored(self, constant: Constant) -> Any:
        """The tensor of a constant, the array itself in the file unless it is small."""
        if _size(constant) < SMALLEST_EXTERNAL:
            return constant.tensor()
        array = np.ascontiguousarray(constant.array())
        self._file.write(bytes(-self._file.tell() % ALIGNMENT))
        place = {"location": self._location, "offset": self._file.tell(), "length": array.nbytes}
        self._file.write(array.data)
        tensor = TensorProto(name=constant.name, dims=array.shape, data_location=TensorProto.EXTERNAL)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        return tensor


def _size(constant: Constant) -> int:
    value = constant.value
    return int(value.nbytes if isinstance(value, np.ndarray) else value.ByteSize())
