"""The leads: each gives trials, which say in words what they change and score the images tested when they are run.

All but a few change one thing of the baseline: one bank, 1 % of the patches of four layers of EfficientNet-Lite0 at
256 px, squashed; an image scores its highest patch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import _ablation_ways as ways
from _ablation_features import FRAMES, LITE2, View
from _ablation_lab import DEEP, MIDDLE, SHALLOW, Lab, Part
from _ablation_scores import Scored

RATIOS = (0.0025, 0.005, 0.02)


@dataclass(frozen=True)
class Trial:
    """``setting``: what it is, in words; ``seed`` draws the first row of the coreset."""

    lead: str
    setting: str
    run: Callable[[], Scored]
    seed: int = 0


def baseline(lab: Lab) -> Iterator[Trial]:
    for seed in lab.seeds:
        setting = "one bank: blocks.1,2,4,5 of Lite0, 256 px, 1 %"
        yield Trial("baseline", setting, partial(lab.bank, Part(seed=seed)), seed)


def layers(lab: Lab) -> Iterator[Trial]:
    for names in (SHALLOW, MIDDLE, DEEP, ("blocks.1", "blocks.2", "blocks.4")):
        numbers = ",".join(name.removeprefix("blocks.") for name in names)
        yield Trial("layers", f"blocks.{numbers} alone", partial(lab.bank, Part(layers=names)))
    yield Trial("layers", "each layer divided by its spread, one bank", partial(ways.layers_scaled, lab))


def banks(lab: Lab) -> Iterator[Trial]:
    shallow, middle, deep = (Part(layers=names) for names in (SHALLOW, MIDDLE, DEEP))
    other = Part(View(LITE2), MIDDLE)
    fused: Mapping[str, Sequence[Part]] = {
        "a bank for blocks.1,2 and one for blocks.4,5": [shallow, deep],
        "a bank each for blocks.1,2, blocks.2,4, blocks.4,5": [shallow, middle, deep],
        "these three and one for Lite2's blocks.2,4 (the preset `accurate`)": [shallow, middle, deep, other],
        "blocks.2,4 of Lite0 and of Lite2, a bank each": [middle, other],
    }
    for setting, parts in fused.items():
        yield Trial("banks", setting, partial(lab.fused, parts))
    setting = "a bank for blocks.1,2 and one for blocks.4,5, scaled by held-out good images"
    yield Trial("banks", setting, partial(ways.scaled_by_held_out, lab, [shallow, deep]))
    yield Trial("banks", "blocks.2,4 of Lite0 and of Lite2 in one bank", partial(ways.both_networks, lab))
    yield Trial("banks", "Lite2's blocks.2,4 alone", partial(lab.bank, other))


def coreset(lab: Lab) -> Iterator[Trial]:
    for ratio in RATIOS:
        yield Trial("coreset", f"{100 * ratio:g} % of the patches", partial(lab.bank, Part(ratio=ratio)))


def inputs(lab: Lab) -> Iterator[Trial]:
    for side in lab.sides:
        setting = f"{side} px, a bank of as many rows"
        yield Trial("input", setting, partial(lab.bank, Part(View(side=side))))
    words = (
        "as many pixels, aspect kept",
        "as large as they are, margin mirrored",
        "as large as they are, margin constant",
    )
    for frame, setting in zip(FRAMES[1:], words, strict=True):
        if lab.drawn:
            yield Trial("input", f"{setting}, a bank of as many rows", partial(lab.bank, Part(View(frame=frame))))


def brightness(lab: Lab) -> Iterator[Trial]:
    for change, words in (("normalised", "mean and deviation made equal"), ("equalised", "equalised by CLAHE")):
        setting = f"brightness of each image: {words}"
        yield Trial("brightness", setting, partial(lab.bank, Part(View(change=change))))


def scores(lab: Lab) -> Iterator[Trial]:
    yield Trial("score", "weighted as in the paper (eq. 7, 9 rows)", partial(ways.weighted, lab))
    for share in (0.002, 0.01, 0.03):
        setting = f"mean of the highest {100 * share:g} % of the patches"
        yield Trial("score", setting, partial(ways.topmost, lab, share))


def distances(lab: Lab) -> Iterator[Trial]:
    for power in (0.5, 1.0):
        setting = f"distance × (mean radius / radius of the nearest row)^{power:g}, 9 rows"
        yield Trial("distance", setting, partial(ways.density, lab, power))
    for count in (3, 5):
        setting = f"mean distance to the {count} nearest rows"
        yield Trial("distance", setting, partial(ways.mean_of, lab, count))


def flips(lab: Lab) -> Iterator[Trial]:
    yield Trial("flips", "one bank of images and mirrored ones, 2 × as large", partial(ways.more_learnt, lab))
    yield Trial("flips", "a second bank, of mirrored images, joined", partial(ways.second_bank, lab))
    yield Trial(
        "flips",
        "a second bank, of mirrored images, that sees the image mirrored; joined",
        partial(ways.seen_twice, lab),
    )


def patches(lab: Lab) -> Iterator[Trial]:
    yield Trial("patches", "odd good patches set aside (`robust`)", partial(ways.robust, lab))
    yield Trial("patches", "whitened by principal components (99 %)", partial(ways.whitened, lab))


def position(lab: Lab) -> Iterator[Trial]:
    yield Trial("position", "coordinates appended, as wide as the spread", partial(ways.with_coordinates, lab))
    yield Trial("position", "over the mean of good images at the position", partial(ways.over_position, lab))


def other_detectors(lab: Lab) -> Iterator[Trial]:
    rest = "distance to the principal subspace of all patches (95 %)"
    yield Trial("detectors", rest, partial(ways.principal, lab, subspace=True))
    yield Trial("detectors", "one Gaussian of all patches", partial(ways.principal, lab, subspace=False))
    yield Trial("detectors", "PaDiM, 100 channels", partial(ways.padim, lab))
    for weight in (0.5, 1.0):
        setting = f"three banks and PaDiM joined, its weight {weight:g}"
        yield Trial("detectors", setting, partial(ways.with_padim, lab, weight))


LEADS: Mapping[str, Callable[[Lab], Iterator[Trial]]] = {
    "baseline": baseline,
    "layers": layers,
    "banks": banks,
    "coreset": coreset,
    "score": scores,
    "distance": distances,
    "patches": patches,
    "position": position,
    "detectors": other_detectors,
    "flips": flips,
    "brightness": brightness,
    "input": inputs,
}
