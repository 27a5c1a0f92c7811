"""One data set's banks, each made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from _ablation_features import LAYERS, PLAIN, SIDE, STRIDE, Float32, Store, View
from _ablation_scores import Scored, Searched, highest, joined, search

RATIO = 0.01
SHALLOW, MIDDLE, DEEP = ((f"blocks.{a}", f"blocks.{b}") for a, b in ((1, 2), (2, 4), (4, 5)))


@dataclass(frozen=True)
class Part:
    """A bank: of which patches, how large, from where."""

    view: View = PLAIN
    layers: tuple[str, ...] = LAYERS
    ratio: float = RATIO
    seed: int = 0
    k: int = 1


BASE = Part()


class Lab:
    """Banks of one data set, each made once."""

    def __init__(self, store: Store, seeds: Sequence[int], sides: Sequence[int]) -> None:
        self.store, self.seeds, self.sides = store, seeds, sides
        self._known: dict[Part, Searched] = {}

    @property
    def drawn(self) -> bool:
        """Whether defects are drawn, on pictures of many shapes."""
        return self.store.pictures.masks is not None

    def rows(self, part: Part = BASE) -> int:
        """How many patches a bank holds: its share of those at `SIDE`, squashed, whatever the view."""
        grid = SIDE // STRIDE
        return round(part.ratio * len(self.store.pictures.to_fit) * grid * grid)

    def find(self, part: Part = BASE) -> Searched:
        if part not in self._known:
            patches = self.store.get(part.view)
            learnt, tested = patches.learnt(part.layers), patches.tested(part.layers)
            self._known[part] = search(learnt, tested, self.rows(part), part.seed, part.k)
        return self._known[part]

    def bank(self, part: Part = BASE) -> Scored:
        """One bank, the highest patch."""
        return self.scored(self.find(part), part.view)

    def scored(self, found: Searched, view: View = PLAIN, patches: Sequence[Float32] | None = None) -> Scored:
        chosen = [near[:, 0] for near in found.distances] if patches is None else patches
        rows, dims = found.bank.shape
        seen = self.store.get(view)
        return Scored(chosen, seen.tested_grids, highest(chosen), dims, rows, found.seconds, found.ms, seen.ms)

    def fused(self, parts: Sequence[Part]) -> Scored:
        """Several banks, joined as the root mean square of distances over spreads."""
        views = {part.view for part in parts}
        return self.of_several([self.find(part) for part in parts], sum(self.store.get(view).ms for view in views))

    def of_several(self, found: Sequence[Searched], ms: float) -> Scored:
        """The same of banks that were searched; ``ms`` of the backbones."""
        each = zip(*([near[:, 0] for near in one.distances] for one in found), strict=True)
        patches = [joined(image, [one.spread for one in found]) for image in each]
        dims, rows = (sum(one.bank.shape[axis] for one in found) for axis in (1, 0))
        spent = [sum(getattr(one, name) for one in found) for name in ("seconds", "ms")]
        grids = self.store.get(PLAIN).tested_grids
        return Scored(patches, grids, highest(patches), dims, rows, spent[0], spent[1], ms)
