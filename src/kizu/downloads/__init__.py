"""Files from the network and what is made of them: fetched whole and checked, unpacked safely, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kizu._late import loader

if TYPE_CHECKING:
    from kizu.downloads._archive import unpack
    from kizu.downloads._fetch import fetch, part_origin

__all__ = ["fetch", "part_origin", "unpack"]

_HOMES = {
    "fetch": "kizu.downloads._fetch",
    "part_origin": "kizu.downloads._fetch",
    "unpack": "kizu.downloads._archive",
}
__getattr__ = loader(__name__, _HOMES)
