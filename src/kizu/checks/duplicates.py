"""The same photograph more than once: the same pixels, or nearly; and whether a split or label tears it apart.

Copies within the images for training make leave-one-out scores too small, since an image finds its copy, and with
them the threshold. So does one in train and calibration; one in train and test makes every figure look better than it
is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kizu.checks._finding import Finding, Severity, places
from kizu.checks.looks import Look
from kizu.wording import Figures, Wording

SURE = 0.93
"""Similarity from which two files show one photograph, whatever the data. The highest between two cells cut from
neighbouring wafers, of 1,322: 0.92."""

LIKELY = 0.4
"""Similarity from which they do where such pairs are rare. The highest between two of 901 mono cells: 0.24."""

RARE = 0.05
"""Share of images with a pair between the two limits up to which such pairs are rare."""

GAP = 0.2
"""Width of a range of similarities, none of them in this data, that tells copies from look-alikes."""

STRONG = 0.8
"""Similarity of look-alikes from which their labels should agree."""

_FEW_IMAGES = 3  # images of a small data set that may have such a pair whatever their share

Pair = tuple[int, int, float]


@dataclass(frozen=True)
class Copies:
    """A kind of finding; its wording has the same name."""

    kind: str
    severity: Severity
    advice: str


_SPLIT = (
    "Keep it in one split. A copy of a training image makes the threshold too low among those for calibration, and "
    "figures too good in the test."
)
_LABEL = "Find out which label is right, and take the other file out."
_ONCE = "Keep one. In training, copies make the threshold too low; in a test they count more than once."
SAME = (
    Copies("contradiction", "problem", _LABEL),
    Copies("leak", "problem", _SPLIT),
    Copies("duplicate", "warning", _ONCE),
)
"""Kinds of groups of the same pixels: torn by their labels, by their splits, or by neither."""

NEAR = (
    Copies("near_contradiction", "warning", _LABEL),
    Copies("near_leak", "problem", _SPLIT),
    Copies("near_duplicate", "warning", _ONCE),
)
"""The same of nearly the same photograph."""


def exact(looks: Sequence[Look]) -> Iterator[Finding]:
    """Groups of images of the same pixels, in whatever file format and under whatever name."""
    for group in same_pixels(looks):
        if len(group) > 1:
            yield _finding(group, SAME, {})


def same_pixels(looks: Sequence[Look]) -> list[list[Look]]:
    """All looks, those of the same pixels together."""
    groups: dict[bytes, list[Look]] = defaultdict(list)
    for one in looks:
        groups[one.digest].append(one)
    return list(groups.values())


def near(groups: Sequence[Sequence[Look]], pairs: Sequence[Pair]) -> Iterator[Finding]:
    """Groups of nearly the same photograph, and where pairs nearly as alike are common, a note on them.

    ``pairs`` are of ``groups`` by number, as `same_pixels` gives them, with their similarity.
    """
    limit, middling = limit_for(len(groups), pairs)
    for members in _connected([(i, j) for i, j, value in pairs if value >= limit]):
        alike = max(value for i, j, value in pairs if i in members and j in members)
        found = [one for member in sorted(members) for one in groups[member]]
        yield _finding(found, NEAR, {"similarity": alike})
    if limit == SURE and middling:
        alike_only = [pair for pair in pairs if LIKELY <= pair[2] < SURE]
        yield _look_alikes(groups, alike_only)
        yield from _disagreements(groups, alike_only)


def limit_for(count: int, pairs: Sequence[Pair]) -> tuple[float, int]:
    """The similarity that makes two of ``count`` images one photograph, and how many have a pair only nearly so.

    `LIKELY` where few pairs lie between the limits, or the middle of a wide gap among the similarities. Where parts
    come in look-alikes of every degree (the same part under another light, sister wafers) it takes `SURE`.
    """
    sure = {member for i, j, value in pairs if value >= SURE for member in (i, j)}
    middling = {member for i, j, value in pairs if LIKELY <= value < SURE for member in (i, j)} - sure
    if len(middling) <= max(_FEW_IMAGES, RARE * count):
        return LIKELY, len(middling)
    values = np.sort([value for _, _, value in pairs if value < SURE])
    gaps = np.diff(values) * (values[1:] >= LIKELY)
    widest = int(gaps.argmax()) if len(gaps) else 0
    if not len(gaps) or gaps[widest] < GAP:
        return SURE, len(middling)
    return max(LIKELY, float(values[widest : widest + 2].mean())), len(middling)


def _connected(edges: Iterable[tuple[int, int]]) -> list[set[int]]:
    """Groups of what edges connect, in order of their smallest member."""
    groups: dict[int, set[int]] = {}
    for i, j in edges:
        merged = groups.get(i, {i}) | groups.get(j, {j})
        groups.update(dict.fromkeys(merged, merged))
    return sorted({id(group): group for group in groups.values()}.values(), key=min)


def _finding(group: Sequence[Look], kinds: tuple[Copies, Copies, Copies], figures: Figures) -> Finding:
    chosen = kinds[_how_bad(group)]
    paths = tuple(one.sample.path for one in group)
    wording = Wording(chosen.kind, {**figures, "n": len(group), "places": places(one.sample for one in group)})
    return Finding(chosen.kind, chosen.severity, paths, wording, chosen.advice)


def _how_bad(group: Sequence[Look]) -> int:
    labels = {one.sample.label for one in group}
    if {"good", "bad"} <= labels:
        return 0
    return 1 if len({one.sample.split for one in group}) > 1 else 2


def _look_alikes(groups: Sequence[Sequence[Look]], pairs: Sequence[Pair]) -> Finding:
    """One note for all: the same part again, or parts of one piece? Only people can tell."""
    across = {
        member
        for i, j, _ in pairs
        for member, other in ((i, j), (j, i))
        if groups[member][0].sample.split == "test" and groups[other][0].sample.split != "test"
    }
    alike = {member for i, j, _ in pairs for member in (i, j)}
    typical = float(np.median([value for _, _, value in pairs]))
    figures = {"alike": len(alike), "images": len(groups), "similarity": typical}
    return Finding(
        "look_alikes",
        "warning" if across else "note",
        tuple(groups[member][0].sample.path for member in sorted(across or alike)),
        Wording("look_alikes_across", {**figures, "n": len(across)}) if across else Wording("look_alikes", figures),
        "If parts were photographed more than once, keep all of a part in one split (a list says which).",
    )


def _disagreements(groups: Sequence[Sequence[Look]], pairs: Sequence[Pair]) -> Iterator[Finding]:
    """Good images with a look-alike that is labelled bad: the same part, and one label wrong?"""
    others: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for i, j, value in pairs:
        for good, bad in ((i, j), (j, i)):
            labels = groups[good][0].sample.label, groups[bad][0].sample.label
            if value >= STRONG and labels == ("good", "bad"):
                others[good].append((value, bad))
    for good, found in sorted(others.items(), key=lambda item: -max(item[1])[0]):
        looks = [groups[good][0], *(groups[bad][0] for _, bad in sorted(found, reverse=True))]
        nearest, where = max(found)[0], places(look.sample for look in looks)
        paths = tuple(look.sample.path for look in looks)
        advice = "Compare them. If they show the same part, one label is wrong."
        wording = Wording("disagreement", {"similarity": nearest, "places": where})
        yield Finding("disagreement", "note", paths, wording, advice)
