"""The package itself, before anything of it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import kizu
from kizu import downloads, workflows


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


@pytest.mark.parametrize("package", [kizu, workflows, downloads], ids=lambda package: package.__name__)
def test_names_come_from_where_type_checkers_look_for_them(package: ModuleType) -> None:
    tree = ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8"))
    checked = next(node for node in tree.body if isinstance(node, ast.If)).body
    homes = {alias.name: node.module for node in checked if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert sorted(homes) == sorted(set(package.__all__) - {"__version__"})
    assert {name: package._HOMES[name] for name in homes} == homes


def test_a_command_loads_its_own_workflow_alone() -> None:
    code = (
        "import sys; from kizu.workflows import load, predict;"
        "others = [f'kizu.workflows.{name}' for name in ('_fit', '_auto', '_compare', '_report')];"
        "print([name for name in (*others, 'http.client', 'ssl') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("command", "code", "rests"), [("--version", 0, True), ("--versions", 2, False)])
def test_garbage_is_left_alone_after_a_success_alone(command: str, code: int, rests: bool) -> None:
    program = (
        "import atexit, gc, sys; from kizu.cli import main;"
        f"atexit.register(lambda: print(gc.get_freeze_count() > 0)); main(['{command}'])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (code, str(rests))
