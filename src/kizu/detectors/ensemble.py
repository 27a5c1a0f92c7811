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
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kizu.detectors import _checks
from kizu.detectors._bank import Bank, Learnt
from kizu.detectors._base import Array, Detector, Float32, Scores, to_score
from kizu.detectors._joining import Found, RunningSpread, joined, spread
from kizu.detectors._leave_one_out import LeftOut, left_out_scores, prepared_to_leave_out, require_two
from kizu.detectors._parts import check_parts, part_of_state, scales_of_state, spans_of, state_of_parts
from kizu.detectors._patches import gathered
from kizu.detectors._robust import NOTHING_ASIDE, described, put_aside, set_aside
from kizu.detectors._streaming import Plan, peeked, planned, require_no_leaving_out, streamed, tell
from kizu.detectors.patchcore import PatchCore
from kizu.errors import ModelFileError
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
    takes_memory = True
    position_bound = False
    side_by_side = True

    left_out_: Scores
    _banks: list[Bank]

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
        check_parts(self.parts)
        self._member().check()
        _checks.flag("robust", self.robust)

    def _member(self) -> PatchCore:
        return PatchCore(
            coreset_ratio=self.coreset_ratio,
            coreset_start=self.coreset_start,
            search=self.search,
            search_error=self.search_error,
        )

    @property
    def members_(self) -> list[PatchCore]:
        """Each bank as the `PatchCore` of its part's channels."""
        return [self._member().holding(bank) for bank in self._banks]

    def _spans(self, channels: int) -> list[slice]:
        return spans_of(self.parts, channels)

    def fit(
        self,
        embeddings: Iterable[Float32],
        *,
        images: int | None = None,
        rng: np.random.Generator | None = None,
        progress: Progress | None = None,
        leave_one_out: bool = False,
        later: bool = False,
        memory: int | None = None,
    ) -> Self:
        """As `Detector.fit`. Holds every embedding once, and the banks beside them; grids may differ.

        With ``memory``, in bytes, as `PatchCore.fit`, all parts together.

        Raises `DataError` when there is but one image to leave out, `ParameterError` for parts beyond the channels.
        """
        self.check()
        vars(self).pop("left_out_", None)
        rng, progress = rng or np.random.default_rng(0), progress or Silent()
        if memory is not None and images is not None:
            first, embeddings = peeked(embeddings)
            chosen = self._plan(memory, images, first.shape[1:3], first.shape[3]) if len(first) else None
            if chosen is not None:
                require_no_leaving_out(leave_one_out)
                tell(chosen, memory)
                return self._fit_stream(embeddings, chosen, self._spans(first.shape[3]), images, rng, progress)
        rows, grids = gathered(embeddings, images)
        parts = [rows[:, span] for span in self._spans(rows.shape[1])]
        if leave_one_out:
            require_two(len(grids.each))
        self.set_aside_ = put_aside(rows, grids.one, progress) if self.robust else NOTHING_ASIDE
        recipe = self._member().recipe
        self._banks = [Bank.of_patches(part, grids, recipe, rng, progress) for part in parts]
        self.scales_ = np.array([spread(part) for part in parts])
        if leave_one_out:
            learnt = [
                Learnt(bank, part, grids, 0, bank.cover_radius) for bank, part in zip(self._banks, parts, strict=True)
            ]
            self._leave_out(learnt, progress, later=later)
            if not later:
                self.left_out_ = self.left_out_.without(self.set_aside_[:, 0])
        return self

    def _fit_stream(
        self,
        embeddings: Iterable[Float32],
        chosen: Plan,
        spans: Sequence[slice],
        images: int,
        rng: np.random.Generator,
        progress: Progress,
    ) -> Self:
        recipe, spreads = self._member().recipe, RunningSpread()
        found = streamed(spreads.watched(embeddings), chosen, recipe.selection, images, rng, progress, spans)
        self._banks, self.set_aside_ = [Bank.of_stream(one, recipe) for one in found], NOTHING_ASIDE
        self.scales_ = np.array([spreads.of(span) for span in spans])
        return self

    def streams(self, memory: int, images: int, grid: tuple[int, int], channels: int) -> bool:
        """As `Detector.streams`."""
        return self._plan(memory, images, grid, channels) is not None

    def _plan(self, memory: int, images: int, grid: tuple[int, ...], channels: int) -> Plan | None:
        widths = sum(span.stop - span.start for span in self._spans(channels))
        return planned(
            memory, images, grid, max(channels, widths), self._member().recipe.selection, robust=self.robust
        )

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
        self._require_fitted("_banks")
        rng, progress = rng or np.random.default_rng(0), progress or Silent()
        rows, grids = gathered(embeddings, images)
        parts = [rows[:, span] for span in self._spans(rows.shape[1])]
        limits = [None if at_most is None else at_most * float(scale) for scale in self.scales_]
        recipe = self._member().recipe
        learnt = [
            bank.grown(part, grids, recipe, rng, progress, limit)
            for bank, part, limit in zip(self._banks, parts, limits, strict=True)
        ]
        other = self._holding([one.bank for one in learnt])
        vars(other).pop("left_out_", None)
        if leave_one_out:
            other._leave_out(learnt, progress, later=later)
        return other

    def _holding(self, banks: list[Bank]) -> Self:
        other = copy.copy(self)
        other._banks = banks
        return other

    def _leave_out(self, learnt: Sequence[Learnt], progress: Progress, *, later: bool) -> None:
        """As `PatchCore` does, from what each bank has learnt."""
        if later:
            self._banks = prepared_to_leave_out(learnt, 1, progress)
        else:
            self.left_out_ = left_out_scores(learnt, self._scored, 1, progress)

    def _scored(self, found: Sequence[LeftOut]) -> tuple[Float32, np.float32]:
        """Patch scores and the score of an image that each bank is without."""
        patches = joined([Found(one.queries, one.distances[:, 0], [one.bank.search]) for one in found], self.scales_)
        return patches, patches.max()

    def without(self, image: int) -> Self:
        """As `Detector.without`: each bank without its rows of the image; ``scales_`` stay."""
        self._require_fitted("_banks")
        return self._holding([bank.without(image) for bank in self._banks])

    def score(self, embeddings: Float32) -> Scores:
        self._require_fitted("_banks")
        images = to_score(embeddings, self._channels(), or_more=bool(self.parts))
        spans = self._spans(images.shape[3])
        found = Scores(np.empty(images.shape[:3], np.float32), np.empty(len(images), np.float32))
        for place, image in enumerate(images):
            near = [
                _found(bank, np.ascontiguousarray(image[..., span]))
                for bank, span in zip(self._banks, spans, strict=True)
            ]
            patches = joined(near, self.scales_)
            found.patches[place], found.images[place] = patches.reshape(image.shape[:2]), patches.max()
        return found

    def write(
        self, graph: Graph, embedding: str, grid: tuple[int, int], progress: Progress | None = None
    ) -> tuple[str, str]:
        """As `Detector.write`; the banks are searched exactly."""
        self._require_fitted("_banks")
        from kizu.detectors._ensemble_graph import write_scores

        spans = self._spans(self._channels())
        return write_scores(graph, embedding, grid, spans, [bank.rows for bank in self._banks], self.scales_)

    def _channels(self) -> int:
        """Those that embeddings have at least."""
        return max(part[1] for part in self.parts) if self.parts else int(self._banks[0].rows.shape[1])

    def state(self) -> dict[str, Array]:
        self._require_fitted("_banks")
        state = {"scales": self.scales_} | state_of_parts([bank.state() | bank.graph() for bank in self._banks])
        return state | ({"set_aside": self.set_aside_} if self.robust else {})

    def _restore(self, state: Mapping[str, Array]) -> None:
        count = len(self.parts) if self.parts else 1
        self.scales_ = scales_of_state(state, count)
        recipe = self._member().recipe
        self._banks = [Bank.of_state(part_of_state(state, number), recipe) for number in range(count)]
        widths = [span.stop - span.start for span in self._spans(2**31)] if self.parts else [self._channels()]
        if [bank.rows.shape[1] for bank in self._banks] != widths:
            raise ModelFileError("the memory banks do not have their parts' channels; restore the model file.")
        self.set_aside_ = set_aside(state)

    def search_exactly(self) -> None:
        self._require_fitted("_banks")
        self._banks = [bank.searched_exactly() for bank in self._banks]

    def summary(self) -> dict[str, float | int | str]:
        self._require_fitted("_banks")
        banks = [bank.summary() for bank in self._banks]
        figures: dict[str, float | int | str] = {
            "parts": len(banks),
            "bank rows": sum(int(bank["bank rows"]) for bank in banks),
            "dimensions": " + ".join(str(bank["dimensions"]) for bank in banks),
            "search": "approximate" if any(bank["search"] == "approximate" for bank in banks) else "exact",
            "search recall": min(float(bank["search recall"]) for bank in banks),
            "search error": max(float(bank["search error"]) for bank in banks),
        }
        return figures | (described(self.set_aside_) if self.robust else {})


def _found(bank: Bank, patches: Float32) -> Found:
    """What a bank finds for ``patches`` ``(h, w, Dₚ)`` of one image."""
    queries, distances = patches.reshape(-1, patches.shape[2]), bank.look_up(patches, 1)[0][:, 0]
    return Found(queries, distances, bank.closer)
