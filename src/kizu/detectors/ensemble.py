"""An ensemble of PatchCores: channels that belong together have a memory bank of their own; scores are joined.

Roth, Pemula, Zepeda, Schölkopf, Brox, Gehler: "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022,
arXiv 2106.08265, section 4.2 and table 7: PatchCores on several backbones find more than each alone.

One bank of all layers lets those with the largest numbers decide, and wants one good patch that is like the new one
in all layers at once. Here each **part**, some neighbouring channels, finds its own nearest good patch. A patch
scores

    s = √( Σₚ (dₚ / σₚ)² / P )

over P parts: dₚ is the distance to the nearest row of the part's bank, σₚ² the good patches' variance in that part,
of all its channels together. So a part counts by how unusual it is, not by how large its numbers are.

Differences from the paper: its members are different networks on the same layers, and the images' scores are
averaged; here parts may be layers of one network, and patch scores are joined, so that all of them make the map.

An image scores its largest patch score. As in `kizu.detectors.patchcore`, search may be approximate, but image scores
never are.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kizu.detectors import _checks
from kizu.detectors._base import Array, Detector, Float32, Scores
from kizu.detectors._joining import Found, joined, spread
from kizu.detectors._leave_one_out import LeftOut, News, require_two
from kizu.detectors._patches import Grids, gathered
from kizu.detectors._robust import NOTHING_ASIDE, described, put_aside, set_aside
from kizu.detectors.patchcore import PatchCore
from kizu.errors import ModelFileError, bad_parameter
from kizu.progress import Progress, Silent

if TYPE_CHECKING:
    from typing_extensions import Self

    from kizu.graphs import Graph

Float64 = npt.NDArray[np.float64]


class Ensemble(Detector):
    """A memory bank for each part of the channels.

    - ``parts``: the first channel of each part and the one behind its last; parts may overlap. None: one part of all.
      A configuration says which layers belong together instead (``groups``).
    - ``coreset_ratio``: share of all good patches that each bank keeps, in (0, 1].
    - ``coreset_start``, ``search``, ``search_error``, ``robust``: as `kizu.detectors.patchcore.PatchCore` has them.

    Fitted: ``members_``, a fitted `PatchCore` a part; ``scales_`` ``(P,)`` float64, the σ of each, a plain distance;
    ``left_out_`` where it was asked for, and where it is robust ``set_aside_``, as in `PatchCore`.
    """

    name = "ensemble"
    min_images = 1
    leaves_one_out = True
    leaves_one_out_later = True
    position_bound = False
    side_by_side = True

    left_out_: Scores

    def __init__(
        self,
        *,
        parts: Sequence[Sequence[int]] | None = None,
        coreset_ratio: float = 0.01,
        coreset_start: str = "random",
        search: str = "auto",
        search_error: float = 0.01,
        robust: bool = False,
    ) -> None:
        self.parts = parts
        self.coreset_ratio = coreset_ratio
        self.coreset_start = coreset_start
        self.search = search
        self.search_error = search_error
        self.robust = robust

    def check(self) -> None:
        self._check_parts()
        self._member().check()
        _checks.flag("robust", self.robust)

    def _check_parts(self) -> None:
        expected = "a list of one or more parts, each [first channel, channel behind its last], or null"
        if self.parts is None:
            return
        if not isinstance(self.parts, list | tuple) or not self.parts or not all(map(_is_part, self.parts)):
            raise bad_parameter("parts", expected, self.parts)

    def _member(self) -> PatchCore:
        return PatchCore(
            coreset_ratio=self.coreset_ratio,
            coreset_start=self.coreset_start,
            search=self.search,
            search_error=self.search_error,
        )

    def _spans(self, channels: int) -> list[slice]:
        """The parts of so many channels. Raises `ParameterError` where one reaches beyond them."""
        spans = [slice(*part) for part in self.parts or [(0, channels)]]
        if max(span.stop for span in spans) > channels:
            raise bad_parameter("parts", f"within the {channels} channels there are", self.parts)
        return spans

    def fit(
        self,
        embeddings: Iterable[Float32],
        *,
        images: int | None = None,
        rng: np.random.Generator | None = None,
        progress: Progress | None = None,
        leave_one_out: bool = False,
        later: bool = False,
    ) -> Self:
        """As `Detector.fit`. Holds every embedding once, and the banks beside them; grids may differ.

        Raises `DataError` when there is but one image to leave out, `ParameterError` for parts beyond the channels.
        """
        self.check()
        rng, progress = rng or np.random.default_rng(0), progress or Silent()
        rows, grids = gathered(embeddings, images)
        parts = [rows[:, span] for span in self._spans(rows.shape[1])]
        if leave_one_out:
            require_two(len(grids.each))
        self.set_aside_ = put_aside(rows, grids.one, progress) if self.robust else NOTHING_ASIDE
        self.members_ = [self._member() for _ in parts]
        for member, part in zip(self.members_, parts, strict=True):
            member.learn(part, grids, rng, progress)
        self.scales_ = np.array([spread(part) for part in parts])
        if leave_one_out:
            news = [News(0, member.cover_radius_) for member in self.members_]
            self._leave_out(parts, grids, news, progress, later=later)
            if not later:
                self.left_out_ = self.left_out_.without(self.set_aside_[:, 0])
        return self

    @property
    def never_higher(self) -> bool:
        return True

    def updated(
        self,
        embeddings: Iterable[Float32],
        *,
        images: int | None = None,
        rng: np.random.Generator | None = None,
        progress: Progress | None = None,
        leave_one_out: bool = False,
        later: bool = False,
        at_most: float | None = None,
    ) -> Self:
        """As `Detector.updated`: each bank grows as a `PatchCore`'s does; ``scales_`` stay. A new patch scores
        ``at_most`` so much once it does so in every part.
        """
        self._require_fitted("members_")
        rng, progress = rng or np.random.default_rng(0), progress or Silent()
        rows, grids = gathered(embeddings, images)
        parts = [rows[:, span] for span in self._spans(rows.shape[1])]
        limits = [None if at_most is None else at_most * float(scale) for scale in self.scales_]
        grown = [
            member.grown(part, grids, rng, progress, limit)
            for member, part, limit in zip(self.members_, parts, limits, strict=True)
        ]
        other = copy.copy(self)
        other.members_ = [member for member, _ in grown]
        vars(other).pop("left_out_", None)
        if leave_one_out:
            other._leave_out(parts, grids, [news for _, news in grown], progress, later=later)
        return other

    def _leave_out(
        self, parts: Sequence[Float32], grids: Grids, news: Sequence[News], progress: Progress, *, later: bool
    ) -> None:
        """Score each image learnt last as had it not been, or prepare for that; ``parts`` are their patches,
        ``(N, Dₚ)`` each.
        """
        if not later:
            self.left_out_ = self._leave_one_out(parts, grids, news, progress)
            return
        with progress.stage("Preparing to leave each image out", 2 * len(grids.each) * len(parts)) as advance:
            for member, part, new in zip(self.members_, parts, news, strict=True):
                member.prepare_without(part, grids, new, advance)

    def _leave_one_out(
        self, parts: Sequence[Float32], grids: Grids, news: Sequence[News], progress: Progress
    ) -> Scores:
        grid, images = grids.one, len(grids.each)
        found = Scores(np.empty((images, *grid), np.float32), np.empty(images, np.float32))
        with progress.stage("Leaving each image out", 2 * images * len(parts)) as advance:
            left_out = [
                member.leaving_out(part, grids, new, advance)
                for member, part, new in zip(self.members_, parts, news, strict=True)
            ]
            for image, ones in enumerate(zip(*left_out, strict=True)):
                patches = joined([_of_left_out(one) for one in ones], self.scales_)
                found.patches[image], found.images[image] = patches.reshape(grid), patches.max()
        return found

    def without(self, image: int) -> Self:
        """As `Detector.without`: each bank without its rows of the image; ``scales_`` stay."""
        self._require_fitted("members_")
        other = copy.copy(self)
        other.members_ = [member.without(image) for member in self.members_]
        return other

    def score(self, embeddings: Float32) -> Scores:
        self._require_fitted("members_")
        spans = self._spans(embeddings.shape[-1])
        found = Scores(np.empty(embeddings.shape[:3], np.float32), np.empty(len(embeddings), np.float32))
        for place, image in enumerate(embeddings):
            near = [
                _of_member(member, np.ascontiguousarray(image[..., span]))
                for member, span in zip(self.members_, spans, strict=True)
            ]
            patches = joined(near, self.scales_)
            found.patches[place], found.images[place] = patches.reshape(image.shape[:2]), patches.max()
        return found

    def write(
        self, graph: Graph, embedding: str, grid: tuple[int, int], progress: Progress | None = None
    ) -> tuple[str, str]:
        """As `Detector.write`; the banks are searched exactly."""
        self._require_fitted("members_")
        from kizu.detectors._ensemble_graph import write_scores

        spans = self._spans(max(span[1] for span in self.parts) if self.parts else self._channels())
        banks = [member.bank_ for member in self.members_]
        return write_scores(graph, embedding, grid, spans, banks, self.scales_)

    def _channels(self) -> int:
        return int(self.members_[0].bank_.shape[1])

    def state(self) -> dict[str, Array]:
        self._require_fitted("members_")
        state: dict[str, Array] = {"scales": self.scales_}
        for number, member in enumerate(self.members_):
            state |= {f"{_prefix(number)}{key}": array for key, array in member.state().items()}
        return state | ({"set_aside": self.set_aside_} if self.robust else {})

    def _restore(self, state: Mapping[str, Array]) -> None:
        self.scales_ = state["scales"]
        count = len(self.parts) if self.parts else 1
        sound = self.scales_.shape == (count,) and self.scales_.dtype == np.float64
        if not sound or not (np.isfinite(self.scales_) & (self.scales_ > 0)).all():
            raise ModelFileError("the scales of the parts are not one a part; restore the model file.")
        parameters = self._member().parameters()
        self.members_ = [PatchCore.from_state(parameters, _of_part(state, number)) for number in range(count)]
        widths = [span.stop - span.start for span in self._spans(2**31)] if self.parts else [self._channels()]
        if [member.bank_.shape[1] for member in self.members_] != widths:
            raise ModelFileError("the memory banks do not have their parts' channels; restore the model file.")
        self.set_aside_ = set_aside(state)

    def search_exactly(self) -> None:
        self._require_fitted("members_")
        for member in self.members_:
            member.search_exactly()

    def summary(self) -> dict[str, float | int | str]:
        self._require_fitted("members_")
        members = [member.summary() for member in self.members_]
        figures: dict[str, float | int | str] = {
            "parts": len(members),
            "bank rows": sum(int(member["bank rows"]) for member in members),
            "dimensions": " + ".join(str(member["dimensions"]) for member in members),
            "search": "approximate" if any(member["search"] == "approximate" for member in members) else "exact",
            "search recall": min(float(member["search recall"]) for member in members),
            "search error": max(float(member["search error"]) for member in members),
        }
        return figures | (described(self.set_aside_) if self.robust else {})


def _is_part(part: Any) -> bool:
    pair = isinstance(part, list | tuple) and len(part) == 2 and all(type(place) is int for place in part)
    return pair and 0 <= part[0] < part[1]


def _of_member(member: PatchCore, patches: Float32) -> Found:
    queries = patches.reshape(-1, patches.shape[2])
    return Found(queries, member.look_up(patches), None if member.searches_exactly else member.exact)


def _of_left_out(one: LeftOut) -> Found:
    return Found(one.queries, one.distances[:, 0], one.bank)


def _prefix(number: int) -> str:
    return f"part{number}_"


def _of_part(state: Mapping[str, Array], number: int) -> dict[str, Array]:
    prefix = _prefix(number)
    return {key.removeprefix(prefix): array for key, array in state.items() if key.startswith(prefix)}
