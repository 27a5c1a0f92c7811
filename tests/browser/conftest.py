"""These tests run where a Chromium is installed, and need a POSIX system to drive it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser.devtools import Page, browser
from kizu.errors import MissingExtraError
from kizu.report.pdf import find_chromium


def _chromium() -> Path | None:
    try:
        return find_chromium() if os.name == "posix" else None
    except MissingExtraError:
        return None


CHROMIUM = _chromium()
collect_ignore_glob = [] if CHROMIUM else ["test_*.py"]


@pytest.fixture(scope="session")
def chromium() -> Path:
    assert CHROMIUM is not None
    return CHROMIUM


@pytest.fixture(scope="session")
def shared_page(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One browser for all tests: starting it is what takes long."""
    with browser(chromium, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(shared_page: Page) -> Page:
    """A page in a window of 1300 by 900."""
    shared_page.size(1300, 900)
    return shared_page
