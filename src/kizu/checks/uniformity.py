"""Images of another size, shape, colour, depth or file format than the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kizu.checks._finding import Finding, Severity
from kizu.checks._robust import LIMIT, stand_out
from kizu.checks.looks import Look
from kizu.wording import Wording

USUAL = 0.9
"""Share of images that must agree for the others to stand out."""


@dataclass(frozen=True)
class Trait:
    """Something images of one camera and one export share."""

    kind: str
    severity: Severity
    of: Callable[[Look], Any]
    words: Callable[[Any], Wording]
    advice: str


_TRAITS = (
    Trait(
        "size",
        "warning",
        lambda look: look.size,
        lambda size: Wording("of_size", {"width": size[1], "height": size[0]}),
        "Check whether they show the part at the same scale and framing; everything is resized to one size.",
    ),
    Trait(
        "colour",
        "warning",
        lambda look: look.grey,
        lambda grey: Wording("in_grey") if grey else Wording("in_colour"),
        "Take all pictures in the same mode: colour alone can make a part look strange.",
    ),
    Trait(
        "bits",
        "warning",
        lambda look: look.bits,
        lambda bits: Wording("of_bits", {"bits": bits}),
        "Save all the same way. Of 16 bits, 65535 becomes 255: a camera that fills only a part comes out dark.",
    ),
    Trait(
        "format",
        "note",
        lambda look: look.format,
        lambda name: Wording("in_format", {"format": name}),
        "Compression leaves traces that a model can see; export all pictures in one format.",
    ),
)


def odd_ones(looks: Sequence[Look]) -> Iterator[Finding]:
    """Images that differ from nine tenths of the others; sizes that vary anyway are judged by shape and area."""
    for trait in _TRAITS:
        groups: dict[Any, list[Look]] = defaultdict(list)
        for look in looks:
            groups[trait.of(look)].append(look)
        usual = max(groups, key=lambda value: len(groups[value]), default=None)
        if usual is not None and len(groups[usual]) >= USUAL * len(looks):
            yield from _others(trait, groups, usual)
        elif groups and trait.kind == "size":
            yield from _odd_shapes(looks)
    yield from _format_tells_label(looks)


def _others(trait: Trait, groups: dict[Any, list[Look]], usual: Any) -> Iterator[Finding]:
    for value, found in groups.items():
        if value != usual:
            unlike = {"this": trait.words(value), "usual": trait.words(usual)}
            wording = Wording("odd_one", {"n": len(found), "others": len(groups[usual]), **unlike})
            paths = tuple(look.sample.path for look in found)
            yield Finding(trait.kind, trait.severity, paths, wording, trait.advice)


def _odd_shapes(looks: Sequence[Look]) -> Iterator[Finding]:
    """Of images whose sizes vary: those much longer or broader, or much smaller or larger, than the rest."""
    sizes = np.array([look.size for look in looks], float)
    for values in (np.log(sizes[:, 0] / sizes[:, 1]), np.log(sizes[:, 0] * sizes[:, 1])):
        for number in np.flatnonzero(np.abs(stand_out(values, values)) > LIMIT).tolist():
            height, width = looks[number].size
            wording = Wording("odd_shape", {"width": width, "height": height})
            yield Finding("size", "warning", (looks[number].sample.path,), wording, _TRAITS[0].advice)


def _format_tells_label(looks: Sequence[Look]) -> Iterator[Finding]:
    """Good and bad images that never share a file format: anything could tell them apart."""
    formats = {
        label: {look.format for look in looks if look.sample.label == label and look.sample.split == "test"}
        for label in ("good", "bad")
    }
    if all(formats.values()) and not formats["good"] & formats["bad"]:
        wording = Wording("format_tells_label", {label: tuple(sorted(names)) for label, names in formats.items()})
        yield Finding("format", "problem", (), wording, "Export good and bad pictures in the same format.")
