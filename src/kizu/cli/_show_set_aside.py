"""What ``kizu fit --robust`` says of what it set aside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kizu.errors import some

if TYPE_CHECKING:
    from kizu.inspector import Inspector

NAMED = 5
"""Images named."""


def set_aside(inspector: Inspector) -> Iterator[str]:
    """How many patches, of which images; nothing where the fit was not robust."""
    summary = inspector.detector.summary()
    if "patches set aside" not in summary:
        return
    names = inspector.provenance.get("data", {}).get("set_aside", [])
    if not names:
        yield "Set nothing aside: no image stands out."
        return
    patches, images, fitted = summary["patches set aside"], len(names), inspector.provenance["data"]["fitted"]
    yield f"Set aside {patches:,} patches of {images} of {fitted} images: {some(names, NAMED)}."
    yield "They look like defects. Remove those that are; good ones: kizu update MODEL IMAGES --selected."
