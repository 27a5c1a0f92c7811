"""The package itself, before anything of it is used."""

from __future__ import annotations

import subprocess
import sys

import kizu


def test_every_public_name_is_listed() -> None:
    assert set(kizu.__all__) <= set(dir(kizu))
    assert dir(kizu) == sorted(set(dir(kizu)))
    assert all(getattr(kizu, name) is not None for name in kizu.__all__)


def test_listing_them_loads_nothing() -> None:
    code = (
        "import sys, kizu; dir(kizu); print([m for m in ('numpy', 'pydantic', 'cv2', 'faiss') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
