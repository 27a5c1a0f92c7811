"""Every network of timm: ``timm:NAME`` or ``timm:NAME.TAG``, as ``timm:vit_small_patch14_dinov2.lvd142m``.

``TAG`` is one of timm's sets of weights; without it, timm's own choice. Networks and weights:
https://huggingface.co/docs/timm.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from kizu.backbones.foreign import _trial
from kizu.backbones.foreign._exported import Facts, find_in
from kizu.backbones.foreign._quiet import quiet
from kizu.backbones.weights._files import WeightFile
from kizu.errors import BackboneError, unknown_name
from kizu.progress import Progress, Silent

_HUB = "https://huggingface.co/"
_FILES = ("model.safetensors", "pytorch_model.bin")


class _Timm:
    """See `Library`."""

    name = "timm"
    packages = ("torch", "torchvision", "timm")

    def facts(self, reference: str) -> Facts:
        from kizu.backbones.foreign import _torch_export

        known = _known(reference)
        size = known.input_size[-1]
        probed = _torch_export.probe(self.network(reference, size, None), size, f"{self.name}:{reference}")
        return Facts(
            layers=probed.layers,
            default_layers=probed.default_layers,
            convention=probed.convention,
            image_size=size,
            mean=tuple(known.mean),
            std=tuple(known.std),
            licence=known.license or "not stated",
            weights=f"{_HUB}{known.hf_hub_id}" if known.hf_hub_id else known.url or "",
            sha256="",
            size=0,
            description=f"{known.architecture} of timm, weights {known.tag or 'none'}",
        )

    def network(self, reference: str, image_size: int, weights: Path | None) -> Any:
        from kizu.backbones.foreign import _torch_export

        known = _known(reference)
        sized = {"img_size": image_size} if known.fixed_input_size and image_size != known.input_size[-1] else {}
        name = f"{self.name}:{reference}"
        with quiet(), _torch_export.seeded():
            if weights is not None:
                return _loaded(reference, weights, sized, name).eval()
            return _created(reference, sized, name).eval()

    def fetch(self, reference: str, facts: Facts, progress: Progress) -> Path:
        name = f"{self.name}:{reference}"
        if not facts.weights:
            raise BackboneError(f"{name}: no weights of it are published; give a file with --weights FILE.")
        if not facts.weights.startswith(_HUB):
            raise BackboneError(
                f"{name}: its weights are at {facts.weights}. Download them and give the file with --weights FILE."
            )
        return _kept(facts.weights) or _downloaded(facts.weights, name, quietly=isinstance(progress, Silent))

    def weight_file(self, reference: str, facts: Facts) -> WeightFile:
        if not facts.weights:
            return WeightFile(None, "not published", "", None)
        obtain = f"kizu backbones pull {self.name}:{reference}"
        path = _kept(facts.weights)
        if path is None:
            return WeightFile(None, "not downloaded", obtain, None)
        return WeightFile(path, "", obtain, path.stat().st_size)


find = partial(find_in, _Timm())
"""The network of timm called so: `kizu.backbones.foreign._exported.find_in`, which says what it raises."""


def _timm() -> Any:
    """The package; torchvision, which it needs, may be a build for another PyTorch."""
    try:
        import timm
    except RuntimeError as error:
        raise BackboneError(
            f"timm cannot be loaded ({_trial.reason(error)}). Install torch and torchvision from the same place."
        ) from error
    return timm


def _known(reference: str) -> Any:
    """What timm says of a network and a set of weights (``timm.models.PretrainedCfg``). Raises `BackboneError`."""
    timm = _timm()
    name, _, tag = reference.partition(".")
    if not timm.is_model(name):
        raise BackboneError(unknown_name("network of timm", name, timm.list_models()))
    try:
        return timm.get_pretrained_cfg(reference, allow_unregistered=False)
    except RuntimeError:
        names = timm.list_models(f"{name}.*", pretrained=True)
        tags = [known.partition(".")[2] for known in names]
        raise BackboneError(f"timm:{name}: {unknown_name('set of weights', tag, tags)}") from None


def _created(reference: str, sized: dict[str, int], name: str, **others: Any) -> Any:
    """A network, built for another image size than its own where ``sized`` says so."""
    timm = _timm()
    try:
        return timm.create_model(reference, **sized, **others)
    except (TypeError, AssertionError, ValueError) as error:
        if not sized:
            raise
        size = sized["img_size"]
        raise BackboneError(
            f"{name}: cannot be built for images of {size}×{size} pixels: {_trial.reason(error)}. Leave --image-size "
            "out to take its own."
        ) from error


def _loaded(reference: str, path: Path, sized: dict[str, int], name: str) -> Any:
    """A network with a file's weights, which timm renames and resamples where it must; any classifier will do."""
    tensors = _tensors(path)
    head = _known(reference).classifier
    first = f"{head[0] if isinstance(head, list | tuple) else head}.weight"
    counts = {len(tensors[first]) if first in tensors else _known(reference).num_classes: None, 0: None}
    problem: Exception | None = None
    for classes in counts:
        overlay = {"state_dict": dict(tensors), "custom_load": False, "num_classes": classes}
        try:
            return _created(
                reference, sized, name, pretrained=True, num_classes=classes, pretrained_cfg_overlay=overlay
            )
        except (RuntimeError, KeyError, IndexError, AttributeError) as error:
            problem = problem or error
    said = _trial.reason(problem)
    raise BackboneError(
        f"{path}: these are not the weights of {name}: {said}. Give a file of that network."
    ) from problem


def _tensors(path: Path) -> Any:
    timm = _timm()
    try:
        return timm.models.load_state_dict(str(path))
    except Exception as error:  # pickle, zip, safetensors: each with exceptions of its own
        raise BackboneError(
            f"{path}: not a weight file that timm reads, or a damaged one ({_trial.reason(error)}). Give a "
            ".safetensors file, or a .pth file of plain tensors."
        ) from error


def _kept(address: str) -> Path | None:
    """The weight file of a repository on the Hugging Face Hub where the hub's own cache has it."""
    from huggingface_hub import try_to_load_from_cache

    for file in _FILES:
        path = try_to_load_from_cache(address.removeprefix(_HUB), file)
        if isinstance(path, str):
            return Path(path)
    return None


def _downloaded(address: str, name: str, *, quietly: bool) -> Path:
    """The same, downloaded, with the hub's own progress bars unless ``quietly``."""
    _look_up(name, address)
    try:
        with quiet(), _bars(shown=not quietly):
            return _download(address.removeprefix(_HUB))
    except Exception as error:  # of the network, the hub, the disk
        raise _out_of_reach(name, address, _trial.reason(error)) from error


def _look_up(name: str, address: str) -> None:
    """Where the hub cannot even be found, say so at once: its own client tries for most of a minute."""
    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT).hostname
    if not getproxies():
        try:
            socket.getaddrinfo(host, None)
        except OSError as error:
            raise _out_of_reach(name, address, f"there is no network, or no server called {host}") from error


def _out_of_reach(name: str, address: str, problem: str) -> BackboneError:
    return BackboneError(
        f"{name}: its weights cannot be downloaded: {problem}. Without a network: bring {_FILES[0]} from {address} "
        "and give it with --weights FILE."
    )


def _download(repository: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, _FILES[0]))
    except LocalEntryNotFoundError:  # there is no network
        raise
    except EntryNotFoundError:
        return Path(hf_hub_download(repository, _FILES[1]))


@contextmanager
def _bars(*, shown: bool) -> Iterator[None]:
    """Without the hub's progress bars, unless they are to be ``shown``."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    hide = not shown and not are_progress_bars_disabled()
    if hide:
        disable_progress_bars()
    try:
        yield
    finally:
        if hide:
            enable_progress_bars()
