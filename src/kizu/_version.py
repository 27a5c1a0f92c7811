"""The one place that holds the version; ``kizu --help`` must not read package metadata."""

__version__ = "0.1.0"
