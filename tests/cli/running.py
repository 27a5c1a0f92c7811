"""Running kizu as its users do: in this process where that is enough, in one of its own where it matters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kizu.cli import _app

KIZU = [sys.executable, "-X", "utf8", "-m", "kizu"]


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout; NaN and infinities, which are not JSON, are refused."""

        def refuse(constant: str) -> Any:
            raise ValueError(constant)

        return json.loads(self.out, parse_constant=refuse)

    @property
    def error(self) -> str:
        """The one line that says what is wrong."""
        assert self.code == 2, self
        assert "Traceback" not in self.err, self
        errors = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, self
        assert self.err.endswith(f"{errors[0]}\n"), self
        return errors[0].removeprefix("error: ")


class Command:
    """``kizu`` with some arguments, in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Said:
        self._capsys.readouterr()
        code = _app._run([str(argument) for argument in arguments])
        return Said(code, *self._capsys.readouterr())


def in_its_own_process(arguments: Iterable[object], **options: Any) -> Said:
    """The same in a process of its own."""
    command = [*KIZU, *map(str, arguments)]
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    done = subprocess.run(command, encoding="utf-8", check=False, timeout=120, **given)
    return Said(done.returncode, done.stdout or "", done.stderr or "")


def files(folder: Path) -> dict[str, bytes]:
    """Every file in a folder and what it holds."""
    found = {}
    for directory, _, names in os.walk(folder):
        for name in names:
            path = Path(directory) / name
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found
