"""What ``kizu data`` prints on stdout."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from kizu.cli._show import document

if TYPE_CHECKING:
    from kizu.workflows import Synthesised


def synthesised(result: Synthesised, as_json: bool) -> None:
    """What was drawn, and what to do with it."""
    if as_json:
        document(result.to_dict())
        return
    drawn = ", ".join(f"{count} {kind}" for kind, count in result.defects.items())
    print(f"Wrote {result.out}: {result.fit} good images to fit on, {result.good} held out, and defects: {drawn}.")
    folder = shlex.quote(str(result.out))
    print(f"Next: kizu fit {folder} -o part.kizu, then kizu evaluate part.kizu {folder}")
