"""A detector and a backbone for kizu, found by their entry points (see ``pyproject.toml``)."""
