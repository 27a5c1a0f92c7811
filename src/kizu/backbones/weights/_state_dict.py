"""A network's parameters by name, from a file in any of the formats people publish, and whether they fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kizu.backbones.weights import _checkpoint, _safetensors
from kizu.errors import BackboneError

Shapes = Mapping[str, tuple[int, ...]]
Tensors = Mapping[str, NDArray[Any]]

_SHOWN = 3
_WRAPPED = "module."
"""What ``torch.nn.DataParallel`` puts before every name."""


def load(data: bytes, name: str) -> dict[str, NDArray[Any]]:
    """The tensors of a PyTorch checkpoint or a safetensors file. Raises `BackboneError` as their readers do."""
    read = _safetensors.load if _safetensors.is_one(data) else _checkpoint.load
    tensors = read(data, name)
    if tensors and all(key.startswith(_WRAPPED) for key in tensors):
        return {key.removeprefix(_WRAPPED): value for key, value in tensors.items()}
    return tensors


def unneeded(key: str) -> bool:
    """Whether a parameter has no part in feature maps: the classifier, or a counter of training."""
    return key.startswith("fc.") or key.endswith(".num_batches_tracked")


def check(tensors: Tensors, shapes: Shapes, where: str, network: str, family: Mapping[str, Shapes]) -> None:
    """Make sure that ``tensors`` are the parameters of ``network``, of ``shapes``, and usable numbers.

    ``where`` is the file; ``family`` holds the shapes of related networks by name, one of which it may be instead.

    Raises:
        BackboneError: which are missing, not expected or of another shape, and what the file looks like.
    """
    problems = "; ".join(_differences(tensors, shapes))
    if problems:
        alike = next((name for name, others in family.items() if not any(_differences(tensors, others))), None)
        advice = f"This looks like {alike}: use that backbone" if alike else "Give a file of that architecture"
        raise BackboneError(f"{where}: these are not the weights of {network}: {problems}. {advice}.")
    for key in shapes:
        if not _usable(key, tensors[key]):
            raise BackboneError(
                f"{where}: {key!r} holds values that no network can have (not finite, or a negative variance). "
                "The file is damaged or the training went wrong; give another."
            )


def _differences(tensors: Tensors, shapes: Shapes) -> Iterable[str]:
    found = {key for key in tensors if not unneeded(key)}
    missing = [key for key in shapes if key not in found]
    surplus = [key for key in tensors if key in found and key not in shapes]
    shaped = [
        f"{key} is {tensors[key].shape}, expected {shape}"
        for key, shape in shapes.items()
        if key in found and tensors[key].shape != shape
    ]
    for what, names in (("missing", missing), ("not expected", surplus), ("of another shape", shaped)):
        if names:
            more = ", …" if len(names) > _SHOWN else ""
            yield f"{len(names)} tensor{'s' if len(names) > 1 else ''} {what} ({', '.join(names[:_SHOWN])}{more})"


def _usable(key: str, values: NDArray[Any]) -> bool:
    finite = bool(np.isfinite(values).all())
    return finite and not (key.endswith(".running_var") and values.size and values.min() < 0)
