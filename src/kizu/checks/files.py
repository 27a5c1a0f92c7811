"""Files that cannot be read or have more pages, what a layout left out, whether images and 8 bits are enough."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from kizu.checks._finding import Finding
from kizu.checks.looks import Look
from kizu.datasets import Dataset
from kizu.errors import ImageError
from kizu.wording import Wording

FEW_GOOD = 20
"""Good images for training below which a model knows little of what good parts may look like."""

ENOUGH_GOOD = 100
"""Good images that a threshold of one false alarm in a hundred takes, all of them calibrating."""

FEW_TO_TEST = 30
"""Test images of a kind below which a figure says little: of 30 without a miss, 1 in 10 may still be missed."""

LITTLE = 1 / 8
"""Share of the range of 16 bits: where images use less, of 256 grey levels fewer than 32 are left."""


def unreadable(errors: Sequence[ImageError]) -> Iterator[Finding]:
    """A finding a file."""
    for error in errors:
        advice = "Mend or remove the file" if error.remedy is None else str(error.remedy)
        wording = Wording("unreadable", {"reason": error.reason})
        yield Finding("unreadable", "problem", (error.path,), wording, f"{advice[:1].upper()}{advice[1:]}.")


def left_out(dataset: Dataset) -> Iterator[Finding]:
    """What the layout has no place for: images nobody will see."""
    for remark in dataset.remarks:
        if remark.key != "masks_without_image":  # kizu.checks.masks names the files
            advice = "Move what belongs to the data set to where its layout has it."
            yield Finding("left_out", "note", (), Wording("left_out", {"note": remark}), advice)


def shallow(looks: Sequence[Look]) -> Iterator[Finding]:
    """Images of 16 bits of which too little is left in 8."""
    deep = [look for look in looks if look.bits > 8]
    reach = max((look.reach for look in deep), default=1.0)
    if reach < LITTLE:
        figures = {"n": len(deep), "highest": round(reach * (2**16 - 1)), "levels": round(reach * 255) + 1}
        advice = "Fit with --window auto, which keeps what the camera saw. This check saw 8 bits, but for suspects."
        yield Finding("depth", "warning", (), Wording("shallow", figures), advice)


def further_pages(looks: Sequence[Look]) -> Iterator[Finding]:
    """Files of several pages, of which the first is inspected."""
    paths = tuple(look.sample.path for look in looks if look.more_pages)
    if paths:
        advice = (
            "Fit with --channels 0,1,2 or others where pages are channels, which are counted through all pages. "
            "Else save each page as a file."
        )
        yield Finding("pages", "warning", paths, Wording("further_pages", {"n": len(paths)}), advice)


def too_few(looks: Sequence[Look]) -> Iterator[Finding]:
    """Splits of too few readable images."""
    fitted, calibrating = (_count(looks, split, "good") for split in ("train", "calibration"))
    if not looks or any(look.sample.split != "test" for look in looks):  # a test set alone is not fitted on
        yield from _too_few_to_fit(fitted, calibrating)
    yield from _too_few_to_test(_count(looks, "test", "good"), "good", "few_good_to_test")
    yield from _too_few_to_test(_count(looks, "test", "bad"), "bad", "few_bad_to_test")


def _count(looks: Sequence[Look], split: str, label: str) -> int:
    return sum(look.sample.split == split and look.sample.label == label for look in looks)


def _too_few_to_fit(count: int, calibrating: int) -> Iterator[Finding]:
    """Where images are set apart for ``calibrating``, they promise, and those fitted on need only be known."""
    advice = f"Add good images: {FEW_GOOD} at least, {ENOUGH_GOOD} and more for a threshold of 1 %."
    if count < FEW_GOOD:
        yield Finding("too_few", "warning", (), Wording("too_few_to_know", {"n": count}), advice)
    elif 0 < calibrating < ENOUGH_GOOD:
        found = Wording("too_few_to_calibrate", {"n": calibrating, "percent": 100 / (calibrating + 1)})
        more = f"Add good images to calibrate by: {ENOUGH_GOOD} and more for a threshold of 1 %."
        yield Finding("too_few", "note", (), found, more)
    elif not calibrating and count < ENOUGH_GOOD:
        found = Wording("too_few_to_promise", {"n": count, "percent": 100 / (count + 1)})
        yield Finding("too_few", "note", (), found, advice)


def _too_few_to_test(count: int, label: str, key: str) -> Iterator[Finding]:
    if 0 < count < FEW_TO_TEST:
        advice = f"Add labelled {label} images, {FEW_TO_TEST} at least, before trusting such figures."
        yield Finding("too_few", "note", (), Wording(key, {"n": count, "margin": _margin(count)}), advice)


def _margin(count: int) -> float:
    """Half the width of a 95 % interval of a share near one half, in percent."""
    return min(50.0, 98 / math.sqrt(count))
