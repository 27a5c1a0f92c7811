"""``kizu fit --auto``: which preset, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kizu.errors import ParameterError

if TYPE_CHECKING:
    from kizu.config import Config
    from kizu.datasets import Dataset
    from kizu.workflows import Choice

CHOSEN = ("preset", "detector", "backbone", "weights", "layers", "groups", "image_size", "resize", "keep_aspect")
"""Settings that are not to be given with it."""


def chosen(
    dataset: Dataset, given: Config, options: Sequence[str], *, skip_unreadable: bool, max_pixels: int
) -> tuple[Config, Choice]:
    """``given`` with the preset and size that suit the data. Raises `ParameterError` where they are given.

    ``options``: ``--robust`` and ``--set KEY=VALUE`` as they were given, which messages name.
    """
    from kizu.cli._progress import Bars
    from kizu.config import parse
    from kizu.workflows import choose_preset

    said = [name for name in CHOSEN if name in given.model_fields_set]
    if said:
        by = next((f", which {option} changes" for option in options if _changes(option, said[0])), "")
        raise ParameterError(f"--auto chooses `{said[0]}` itself{by}. Leave one of the two out.")
    choice = choose_preset(dataset, given, skip_unreadable=skip_unreadable, max_pixels=max_pixels, progress=Bars())
    document = given.model_dump(exclude_unset=True) | {"preset": choice.preset, "image_size": choice.image_size}
    return parse(document), choice


def _changes(option: str, name: str) -> bool:
    return option.startswith((f"--set {name}=", f"--set {name}.")) or (option, name) == ("--robust", "detector")


def lines(choice: Choice) -> Iterator[str]:
    """What was tried, and what was chosen."""
    yield f"Tried on {choice.drawn_on} good images held out, as they are and with defects drawn on them:"
    yield f"  {'preset':<12}{'size':>6}{'AUROC':>9}{'ms an image':>14}"
    for trial in choice.trials:
        worse = f"   worse by {trial.worse:.3f}" if trial.worse is not None else ""
        yield f"  {trial.preset:<12}{trial.image_size:>6}{trial.auroc:>9.3f}{trial.milliseconds:>14.1f}{worse}"
    for why in choice.left_out:
        yield f"Not tried: {why}"
    yield f"Chosen: {choice.preset} at {choice.image_size} pixels: {choice.reason}"


def document(choice: Choice | None) -> Mapping[str, Any]:
    """For ``--json``; nothing without a choice."""
    return {} if choice is None else {"auto": choice.to_dict()}
