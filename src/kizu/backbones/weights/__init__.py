"""Weight files: found, downloaded, checked and read, without PyTorch and without trusting them."""

from kizu.backbones.weights._cache import folder as cache_folder
from kizu.backbones.weights._cache import prepare as prepare_cache
from kizu.backbones.weights._files import Published, checksum, read

__all__ = ["Published", "cache_folder", "checksum", "prepare_cache", "read"]
