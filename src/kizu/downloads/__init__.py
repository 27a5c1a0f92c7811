"""Files from the network and what is made of them: fetched whole and checked, unpacked safely, or not at all."""

from kizu.downloads._archive import unpack
from kizu.downloads._fetch import fetch

__all__ = ["fetch", "unpack"]
