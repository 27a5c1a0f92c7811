"""Every classification network of torchvision: ``torchvision:NAME`` or ``torchvision:NAME.TAG``.

``TAG`` is one of torchvision's sets of weights (``resnet50.IMAGENET1K_V1``); without it, torchvision's own choice.
Networks and weights: https://docs.pytorch.org/vision/stable/models.html.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from kizu.backbones.foreign._exported import Facts, find_in
from kizu.backbones.foreign._quiet import quiet
from kizu.backbones.weights._files import Published, WeightFile
from kizu.errors import BackboneError, unknown_name
from kizu.progress import Progress

HEADS = ("fc", "classifier", "head", "heads", "AuxLogits", "aux1", "aux2")
"""What torchvision calls the parts behind the last map, and the helpers of training."""

# Where the published weights come with another input or size than the bare network has, as torchvision's builders do.
_ODD: dict[str, dict[str, Any]] = {
    "googlenet": {"transform_input": True, "aux_logits": False, "init_weights": True},
    "inception_v3": {"transform_input": True, "aux_logits": False, "init_weights": True},
}
_LICENCE = "BSD-3-Clause"
_SHOWN = 3


class _Torchvision:
    """See `Library`."""

    name = "torchvision"
    packages = ("torch", "torchvision")

    def facts(self, reference: str) -> Facts:
        from kizu.backbones.foreign import _torch_export

        chosen = _chosen(reference)
        transforms = chosen.transforms()
        (size,) = transforms.crop_size
        probed = _torch_export.probe(
            self.network(reference, size, None), size, f"{self.name}:{reference}", leave_out=HEADS
        )
        digits = re.search(r"-([0-9a-f]{8,64})\.", chosen.url)
        return Facts(
            layers=probed.layers,
            default_layers=probed.default_layers,
            convention=probed.convention,
            image_size=size,
            mean=tuple(transforms.mean),
            std=tuple(transforms.std),
            licence=chosen.meta.get("license", _LICENCE),
            weights=chosen.url,
            sha256=digits[1] if digits else "",
            size=round(chosen.meta.get("_file_size", 0) * 2**20),
            description=f"{reference} of torchvision, weights {chosen.name}",
        )

    def network(self, reference: str, image_size: int, weights: Path | None) -> Any:
        from kizu.backbones.foreign import _torch_export

        name = reference.partition(".")[0]
        with quiet(), _torch_export.seeded():
            network = _models().get_model(name, weights=None, **_arguments(name, _chosen(reference)))
        if weights is not None:
            _load(network, weights, f"{self.name}:{reference}")
        return network.eval()

    def fetch(self, reference: str, facts: Facts, progress: Progress) -> Path:
        return self._published(reference, facts).fetch(progress)

    def weight_file(self, reference: str, facts: Facts) -> WeightFile:
        return self._published(reference, facts).found()

    def _published(self, reference: str, facts: Facts) -> Published:
        return Published(f"{self.name}:{reference}", facts.weights, facts.sha256, facts.size)


find = partial(find_in, _Torchvision())
"""The network of torchvision called so: `kizu.backbones.foreign._exported.find_in`, which says what it raises."""


def _models() -> Any:
    """``torchvision.models``; a build for another PyTorch than the installed one fails when it is imported."""
    try:
        from torchvision import models
    except RuntimeError as error:
        problem = " ".join(str(error).split())
        raise BackboneError(
            f"torchvision does not fit the installed PyTorch ({problem}). Install the two from the same place."
        ) from error
    return models


def _chosen(reference: str) -> Any:
    """The set of weights (``torchvision.models.Weights``) that a reference names."""
    models = _models()
    name, dot, tag = reference.partition(".")
    known = models.list_models(module=models)
    if name not in known:
        raise BackboneError(unknown_name("network of torchvision", name, known))
    sets = models.get_model_weights(name)
    if not dot:
        return sets.DEFAULT
    if tag not in sets.__members__:
        raise BackboneError(f"torchvision:{name}: {unknown_name('set of weights', tag, sets.__members__)}")
    return sets[tag]


def _arguments(name: str, chosen: Any) -> dict[str, Any]:
    """What the builder of a network would add for a set of weights."""
    arguments = {"num_classes": len(chosen.meta["categories"]), **_ODD.get(name, {})}
    if name.startswith("vit_"):
        arguments["image_size"] = chosen.meta["min_size"][0]
    if name.startswith("maxvit_"):
        arguments["input_size"] = chosen.meta["min_size"]
    return arguments


def _load(network: Any, path: Path, name: str) -> None:
    """Put a file's weights into a network; the classifier may be another one or missing. Raises `BackboneError`."""
    import torch

    from kizu.backbones.weights import _state_dict

    tensors = _state_dict.load(path.read_bytes(), str(path))
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items() if _counts(key)}
    given = {key: torch.from_numpy(value) for key, value in tensors.items() if _counts(key)}
    problems = [
        *_listed(
            "missing", [key for key in expected if key not in given and not key.endswith("num_batches_tracked")]
        ),
        *_listed("not expected", [key for key in given if key not in expected]),
        *_listed(
            "of another shape", [key for key in given if expected.get(key, given[key].shape) != given[key].shape]
        ),
    ]
    if problems:
        raise BackboneError(
            f"{path}: these are not the weights of {name}: {'; '.join(problems)}. Give a file of that network."
        )
    network.load_state_dict(given, strict=False)


def _counts(key: str) -> bool:
    return key.partition(".")[0] not in HEADS


def _listed(what: str, keys: Sequence[str]) -> list[str]:
    if not keys:
        return []
    return [f"{len(keys)} {what} ({', '.join(keys[:_SHOWN])}{', …' if len(keys) > _SHOWN else ''})"]
