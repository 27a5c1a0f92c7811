"""PyTorch networks: their maps found by running them, and written as ONNX. Importing this module loads PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any, NamedTuple

import onnx
import torch
from numpy.typing import NDArray

from kizu.backbones._card import Layer
from kizu.backbones.foreign import _default_layers, _rebuilding, _trial
from kizu.backbones.foreign._forms import Convention, form_of
from kizu.backbones.foreign._grafting import Input
from kizu.backbones.foreign._normalisation import Normalisation
from kizu.backbones.foreign._onnx_network import Network
from kizu.backbones.foreign._quiet import quiet
from kizu.errors import BackboneError
from kizu.graphs import OPSET
from kizu.progress import Advance

INPUT = "images"

TRACING_OPSET = 17
"""The newest that the older exporter is made for."""


class Probed(NamedTuple):
    """The maps of a network in the order they are made, those to take where nobody chose, and how they lie."""

    layers: tuple[Layer, ...]
    default_layers: tuple[str, ...]
    convention: Convention


class Subject(NamedTuple):
    """A network (``torch.nn.Module``) to be exported, and what is known of it; ``image_size`` is its own."""

    name: str
    network: Any
    image_size: int
    convention: Convention
    normalisation: Normalisation


Way = Callable[["_Maps", torch.Tensor, Sequence[str]], Any]


class _Maps(torch.nn.Module):  # type: ignore[misc]
    """A network that gives what its modules gave, not its own result; a module used several times, the last."""

    def __init__(self, network: torch.nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        self._network = network
        self._layers = list(layers)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = _outputs(self._network, images, self._layers)
        return tuple(found[layer] for layer in self._layers)


def _outputs(network: torch.nn.Module, images: torch.Tensor, layers: Sequence[str]) -> dict[str, Any]:
    """What those modules give, copied, as the next one may write over it; in the order in which they finish."""
    found: dict[str, Any] = {}
    handles = []
    for layer in layers:

        def keep(_module: Any, _inputs: Any, output: Any, layer: str = layer) -> None:
            found.pop(layer, None)
            found[layer] = output.clone() if isinstance(output, torch.Tensor) else None

        handles.append(network.get_submodule(layer).register_forward_hook(keep))
    try:
        network(images)
    finally:
        for handle in handles:
            handle.remove()
    return found


def probe(network: torch.nn.Module, image_size: int, name: str, leave_out: Sequence[str] = ()) -> Probed:
    """The modules of ``network`` whose outputs are maps at that size, but those under the names ``leave_out``.

    Raises:
        BackboneError: it cannot be run at that size, or holds no map.
    """
    modules = [
        module for module, _ in network.named_modules() if module and module.partition(".")[0] not in leave_out
    ]
    try:
        with quiet(), torch.no_grad():
            found = _outputs(network, torch.zeros(2, 3, image_size, image_size), modules)
    except Exception as error:  # a network may fail in any way
        raise BackboneError(f"{name}: cannot be run: {_trial.reason(error)}. Choose another network.") from error
    shapes = {key: tuple(value.shape) for key, value in found.items() if value is not None and len(value) == 2}
    convention = Convention.of(shapes.values(), image_size, _prefix_tokens(network))
    forms = {key: form_of(shape, image_size, convention) for key, shape in shapes.items()}
    layers = tuple(
        Layer(key, form.channels, max(1, round(image_size / form.size))) for key, form in forms.items() if form
    )
    if not layers:
        raise BackboneError(f"{name}: none of its modules gives a square map of the image. Choose another network.")
    return Probed(layers, _default_layers.of_modules(layers), convention)


def _prefix_tokens(network: torch.nn.Module) -> int | None:
    """How many tokens stand before a grid, where timm or torchvision says so."""
    known = getattr(network, "num_prefix_tokens", None)
    return known if isinstance(known, int) else 1 if hasattr(network, "class_token") else None


def export(subject: Subject, layers: Sequence[str], image_size: int, advance: Advance) -> tuple[bytes, float]:
    """What `Backbone.build` returns, and by how much it differs from PyTorch at most, as a share of a map's range.

    Written in the first way that works and agrees with PyTorch: for any number of images, for one, by PyTorch's older
    exporter.

    Raises:
        BackboneError: the network cannot see images of that size, cannot be written, or came out different.
    """
    images = _trial.pictures(2, image_size)
    maps = _Maps(subject.network, layers).eval()
    floats = torch.from_numpy(subject.normalisation.apply(images))
    with quiet(), torch.no_grad():
        try:
            tensors = [tensor.numpy() for tensor in maps(floats)]
        except Exception as error:  # a network may fail in any way
            raise _rebuilding.blind(subject.name, image_size, subject.image_size, _trial.reason(error)) from error
    advance()
    problems: list[BackboneError] = []
    for way in (_for_any_number, _for_one_image, _by_tracing):
        try:
            graph = _rebuilt(_written(way, maps, floats, layers, subject.name), layers, image_size, subject)
            difference = _compared(graph, images, tensors, layers, subject)
        except BackboneError as error:
            problems.append(error)
        else:
            advance()
            return graph, difference
    raise problems[0]


def _written(way: Way, maps: _Maps, images: torch.Tensor, layers: Sequence[str], name: str) -> Any:
    """The maps as ``onnx.ModelProto``. Raises `BackboneError`."""
    try:
        with quiet(), torch.no_grad():
            return way(maps, images, layers)
    except Exception as error:  # the exporters' exceptions share no base class
        raise BackboneError(
            f"{name}: PyTorch cannot write it as ONNX: {_trial.reason(error.__cause__ or error)}. Choose other "
            "layers, or another network."
        ) from error


def _rebuilt(model: Any, layers: Sequence[str], image_size: int, subject: Subject) -> bytes:
    network = Network(model, Input(INPUT), subject.image_size, {}, subject.convention)
    return _rebuilding.rebuilt(network, layers, image_size, subject.normalisation, subject.name)


def _for_any_number(maps: _Maps, images: torch.Tensor, layers: Sequence[str]) -> Any:
    return _to_onnx(maps, images, layers, ({0: torch.export.Dim("batch")},))


def _for_one_image(maps: _Maps, images: torch.Tensor, layers: Sequence[str]) -> Any:
    return _to_onnx(maps, images[:1], layers, None)


def _to_onnx(maps: _Maps, images: torch.Tensor, layers: Sequence[str], shapes: Any) -> Any:
    program = torch.onnx.export(
        maps,
        (images,),
        dynamo=True,
        opset_version=OPSET,
        dynamic_shapes=shapes,
        input_names=[INPUT],
        output_names=list(layers),
        verbose=False,
    )
    return program.model_proto


def _by_tracing(maps: _Maps, images: torch.Tensor, layers: Sequence[str]) -> Any:
    file = BytesIO()
    torch.onnx.export(
        maps,
        (images[:1],),
        file,
        dynamo=False,
        opset_version=TRACING_OPSET,
        input_names=[INPUT],
        output_names=list(layers),
    )
    return onnx.load_from_string(file.getvalue())


def _compared(
    graph: bytes, images: NDArray[Any], tensors: Sequence[NDArray[Any]], layers: Sequence[str], subject: Subject
) -> float:
    """By how much the graph differs from what PyTorch gave."""
    forms = [form_of(tensor.shape, images.shape[1], subject.convention) for tensor in tensors]
    maps = [form.map_of(tensor) for form, tensor in zip(forms, tensors, strict=True) if form]
    try:
        return _trial.compare(_trial.run(graph, {"images": images}), maps, layers, _rebuilding.TOLERANCE)
    except (_trial.TrialError, BackboneError) as error:
        problem = str(error).rstrip(".")
        raise BackboneError(
            f"{subject.name}: its ONNX graph does not agree with PyTorch: {problem}. Choose other layers."
        ) from error


@contextmanager
def seeded() -> Iterator[None]:
    """Random weights that are always the same; the generator of the process goes on as if nothing had been."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(0)
        yield
