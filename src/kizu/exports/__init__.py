"""A fitted inspector as one graph for runtimes that know nothing of kizu: image in, score, map and verdict out.

`write_inspector` writes everything between the two as ONNX; a `Format` makes files of it and runs them; `compare`
says how far these are from the inspector; `staged` lets them appear only when that is settled.
"""

from kizu.exports._agreement import Agreement, compare
from kizu.exports._area import require_exportable
from kizu.exports._check_images import CheckImage, check_images
from kizu.exports._formats import FORMATS, Format, Run, format_of
from kizu.exports._graph import COLOURS, Exportable, write_inspector
from kizu.exports._staging import staged

__all__ = [
    "COLOURS",
    "FORMATS",
    "Agreement",
    "CheckImage",
    "Exportable",
    "Format",
    "Run",
    "check_images",
    "compare",
    "format_of",
    "require_exportable",
    "staged",
    "write_inspector",
]
