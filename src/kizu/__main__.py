"""``python -m kizu`` is ``kizu``."""

from kizu.cli import main

main()
