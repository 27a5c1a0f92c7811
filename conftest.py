"""Modules that cannot be imported without the extra ``torch`` are left out where that is not installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("torch") else ["src/kizu/backbones/foreign/_torch_export.py"]
