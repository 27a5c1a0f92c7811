"""Networks of PyTorch libraries as backbones: exported once, kept, and from then on used without PyTorch.

A library is a module of its own (`torchvision_models`, `timm_models`). It is loaded where a network is seen for the
first time: to learn its layers, and to write the graph of those asked for. Both are kept (`_graph_cache`) under the
versions of the packages, the checksum of the weights, the layers and the size, so nothing is used for what it is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from kizu.backbones._card import BackboneCard, Layer
from kizu.backbones.foreign import _graph_cache
from kizu.backbones.foreign._forms import Convention
from kizu.backbones.foreign._normalisation import Normalisation
from kizu.backbones.weights._files import RANDOM, RANDOM_ORIGIN, WeightFile, checksum, with_weights
from kizu.errors import BackboneError, KizuError, MissingExtraError, ParameterError
from kizu.progress import Progress, Silent

INSTALL = 'pip install "kizu[torch]"'
FORMAT = 1
"""Of what kizu makes of an export; another one makes kept graphs unknown."""

_WHOLE = 64
_STEPS = 3


@dataclass(frozen=True)
class Facts:
    """What a library says of a network. ``sha256`` of the published weights may be a beginning, or not known yet.

    ``weights`` says where they are published, empty for nowhere; ``size`` in bytes is about theirs, 0 unknown;
    ``convention`` how maps are read.
    """

    layers: tuple[Layer, ...]
    default_layers: tuple[str, ...]
    convention: Convention
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    licence: str
    weights: str
    sha256: str
    size: int
    description: str

    @property
    def normalisation(self) -> Normalisation:
        return Normalisation(self.mean, self.std)

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> Facts:
        layers = tuple(Layer(**layer) for layer in kept["layers"])
        lists = {name: tuple(kept[name]) for name in ("default_layers", "mean", "std")}
        convention = Convention(**kept["convention"])
        return cls(**{**kept, **lists, "layers": layers, "convention": convention})


class Library(Protocol):
    """Where networks come from. Only `facts` and `network` need PyTorch."""

    @property
    def name(self) -> str: ...

    @property
    def packages(self) -> tuple[str, ...]: ...

    def facts(self, reference: str) -> Facts:
        """Of the network called ``reference``. Raises `BackboneError` when there is none."""
        ...

    def network(self, reference: str, image_size: int, weights: Path | None) -> Any:
        """The network (``torch.nn.Module``) ready to run, with random weights for None.

        Raises `BackboneError` when the weights are not its own or the size not one it can see.
        """
        ...

    def fetch(self, reference: str, facts: Facts, progress: Progress) -> Path:
        """The file of the published weights, downloaded if need be. Raises `BackboneError` or `OutputError`."""
        ...

    def weight_file(self, reference: str, facts: Facts) -> WeightFile:
        """Where the published weights are; nothing is downloaded."""
        ...


@dataclass(frozen=True)
class Exported:
    """A network of a library. ``weights``: a file, ``none``, or None for the published ones."""

    card: BackboneCard
    library: Library
    reference: str
    facts: Facts
    weights: str | None = None
    progress: Progress = field(default_factory=Silent, compare=False)

    def build(self, layers: Sequence[str], image_size: int) -> bytes:
        """See `Backbone.build`; what is not kept is exported with PyTorch and compared with it, which takes a while.

        Raises:
            MissingExtraError: PyTorch is needed and not installed.
        """
        self.card.check(layers, image_size)
        if self.weights is None and len(self.card.sha256) < _WHOLE:
            return self.prepared(self.progress).build(layers, image_size)
        made_of = self._made_of() | {
            "weights": self.card.sha256 or RANDOM,
            "layers": list(layers),
            "image_size": image_size,
            "format": FORMAT,
        }
        graph = _graph_cache.read_graph(made_of)
        if graph is None:
            _graph_cache.prepare()
            graph, difference = self._export(layers, image_size)
            _graph_cache.write_graph(made_of, graph, difference)
        return graph

    def with_weights(self, weights: str) -> Exported:
        """See `Weighted.with_weights`."""
        card, weights = with_weights(self.card, weights)
        return replace(self, card=card, weights=weights)

    def prepared(self, progress: Progress) -> Exported:
        """See `Preparable.prepared`; the export itself is a part of `build`, which knows the layers."""
        ready = replace(self, progress=progress)
        if self.weights is not None:
            return ready
        try:
            path = self.library.fetch(self.reference, self.facts, progress)
        except BackboneError:
            if len(self.card.sha256) == _WHOLE:  # exported before: `build` says so where it does need the file
                return ready
            raise
        facts = replace(self.facts, sha256=checksum(path))
        _graph_cache.write_facts(self._made_of(), asdict(facts))
        card = replace(self.card, sha256=facts.sha256)
        return replace(self, card=card, facts=facts, progress=progress)

    def weight_file(self) -> WeightFile:
        """See `Located.weight_file`."""
        if self.weights is None:
            return self.library.weight_file(self.reference, self.facts)
        path = None if self.weights == RANDOM else Path(self.weights)
        return WeightFile(path, "" if path else RANDOM_ORIGIN, "", path.stat().st_size if path else None)

    def _made_of(self) -> dict[str, Any]:
        return _made_of(self.library, self.reference)

    def _export(self, layers: Sequence[str], image_size: int) -> tuple[bytes, float]:
        path = None if self.weights == RANDOM else self._path()
        with self.progress.stage(f"Exporting {self.card.name}", _STEPS) as advance, loading(self.library):
            from kizu.backbones.foreign import _torch_export

            network = self.library.network(self.reference, image_size, path)
            advance()
            subject = _torch_export.Subject(
                self.card.name, network, self.facts.image_size, self.facts.convention, self.facts.normalisation
            )
            return _torch_export.export(subject, layers, image_size, advance)

    def _path(self) -> Path:
        if self.weights is not None:
            return Path(self.weights)
        path = self.library.fetch(self.reference, self.facts, self.progress)
        if checksum(path) != self.card.sha256:
            raise BackboneError(
                f"{path}: not the file it was before (its SHA-256 is not {self.card.sha256}). "
                "Delete it and run again."
            )
        return path


def find_in(
    library: Library,
    reference: str,
    *,
    weights: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Exported:
    """The network called ``reference`` as a backbone.

    Raises:
        BackboneError: there is none, or the weight file is missing.
        ParameterError: ``mean`` or ``std`` are given.
        MissingExtraError: PyTorch or the library is needed and not installed.
    """
    name = f"{library.name}:{reference}"
    if mean is not None or std is not None:
        raise ParameterError(f"`mean` and `std` are for `onnx:FILE`; {name} brings its own. Leave them out.")
    facts = _facts(library, reference)
    card = BackboneCard(
        name=name,
        layers=facts.layers,
        default_layers=facts.default_layers,
        default_image_size=facts.image_size,
        licence=facts.licence,
        weights=facts.weights or "not published",
        sha256=facts.sha256,
        preprocessing=str(facts.normalisation),
        description=facts.description,
        default_patch_stride=None,
    )
    found = Exported(card, library, reference, facts)
    return found if weights is None else found.with_weights(weights)


def _facts(library: Library, reference: str) -> Facts:
    made_of = _made_of(library, reference)
    kept = _graph_cache.read_facts(made_of)
    if kept is not None:
        return Facts.from_dict(kept)
    with loading(library):
        facts = library.facts(reference)
    _graph_cache.write_facts(made_of, asdict(facts))
    return facts


def _made_of(library: Library, reference: str) -> dict[str, Any]:
    versions = {}
    for package in (*library.packages, "onnxscript"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            raise _missing(library, package) from None
    return {"name": f"{library.name}:{reference}", "versions": versions, "format": FORMAT}


@contextmanager
def loading(library: Library) -> Iterator[None]:
    """Around what imports PyTorch: says plainly when it cannot be imported."""
    try:
        yield
    except KizuError:
        raise
    except ImportError as error:
        raise _missing(library, error.name or "torch") from error


def _missing(library: Library, package: str) -> MissingExtraError:
    return MissingExtraError(
        f"`{library.name}:` needs the package {package}, to export a network once. Install it with: {INSTALL}"
    )
