from __future__ import annotations

import pytest

from cli.running import Command


@pytest.fixture
def kizu(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process."""
    return Command(capsys)
