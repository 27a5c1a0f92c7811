"""Files from the network and what is made of them: fetched whole and checked, unpacked safely, or not at all."""

from kizu.downloads._archive import unpack
from kizu.downloads._fetch import fetch, part_origin

__all__ = ["fetch", "part_origin", "unpack"]
