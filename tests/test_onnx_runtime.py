"""ONNX Runtime tells nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

INSPECT = """
import sys
import numpy as np
import kizu
kizu.load(sys.argv[1]).inspect(np.zeros((64, 64, 3), np.uint8))
import os
assert "ORT_DISABLE_TELEMETRY" not in os.environ
"""


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is left in files there")
def test_inspecting_leaves_nothing_in_the_home_folder(model: Path, tmp_path: Path) -> None:
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()
    theirs = ("CI", "GITHUB", "ORT_", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    places = {"HOME": str(home), "TMPDIR": str(scratch), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", INSPECT, str(model)], check=True, env={**kept, **places})
    assert [*home.rglob("*"), *scratch.rglob("*")] == []
