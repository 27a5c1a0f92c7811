"""Files that cannot be read, what a layout left out, and whether there are enough images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kizu.checks._finding import Finding, plural
from kizu.checks.looks import Look
from kizu.datasets import Dataset
from kizu.errors import ImageError

FEW_GOOD = 20
"""Good images for training below which a model knows little of what good parts may look like."""

ENOUGH_GOOD = 100
"""Good images that a threshold of one false alarm in a hundred takes, all of them calibrating."""

FEW_TO_TEST = 30
"""Test images of a kind below which a figure says little: of 30 without a miss, 1 in 10 may still be missed."""

_MASKS_LEFT_OVER = "masks without an image"  # how layouts begin that note; kizu.checks.masks names the files


def unreadable(errors: Sequence[ImageError]) -> Iterator[Finding]:
    """A finding a file."""
    for error in errors:
        problem, _, advice = error.problem.partition("; ")
        advice = f"{advice[:1].upper()}{advice[1:].rstrip('.')}." if advice else "Mend or remove the file."
        yield Finding("unreadable", "problem", (error.path,), f"{problem}.", advice)


def left_out(dataset: Dataset) -> Iterator[Finding]:
    """What the layout has no place for: images nobody will see."""
    for note in dataset.notes:
        if not note.startswith(_MASKS_LEFT_OVER):
            advice = "Move what belongs to the data set to where its layout has it."
            yield Finding("left_out", "note", (), f"{note}.", advice)


def too_few(looks: Sequence[Look]) -> Iterator[Finding]:
    """Splits of too few readable images."""
    train = sum(look.sample.split == "train" and look.sample.label == "good" for look in looks)
    if train < ENOUGH_GOOD:
        few = train < FEW_GOOD
        message = f"{plural(train, 'good image')} for training" + (
            ": too few to know what good parts look like."
            if few
            else f": the lowest false-alarm share they can promise is {1 / (train + 1):.1%}."
        )
        advice = f"Add good images: {FEW_GOOD} at least, {ENOUGH_GOOD} and more for a threshold of 1 %."
        yield Finding("too_few", "warning" if few else "note", (), message, advice)
    for label in ("good", "bad"):
        count = sum(look.sample.split == "test" and look.sample.label == label for look in looks)
        if 0 < count < FEW_TO_TEST:
            message = (
                f"{plural(count, f'{label} test image')}: shares measured on them are good to ±{_margin(count)}."
            )
            advice = f"Add labelled {label} images, {FEW_TO_TEST} at least, before trusting such figures."
            yield Finding("too_few", "note", (), message, advice)


def _margin(count: int) -> str:
    """Half the width of a 95 % interval of a share near one half."""
    return f"{min(50.0, 98 / count**0.5):.0f} %"
