"""Exported graphs and what is known of their networks, kept between runs.

Each entry lies under a name made of all it was made of, so that nothing outdated is ever found; what is damaged is
not found either, by its SHA-256, and is then made anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kizu.backbones.weights import _cache
from kizu.files import atomic_write

MadeOf = Mapping[str, Any]
"""Plain values, ``name`` among them, that decide what an entry is."""


def read_facts(made_of: MadeOf) -> dict[str, Any] | None:
    """The facts kept of a network; None where there are none."""
    content = _read(_path(made_of, ".json"))
    facts = None if content is None else content.get("facts")
    return facts if isinstance(facts, dict) else None


def write_facts(made_of: MadeOf, facts: Mapping[str, Any]) -> None:
    """Keep the facts of a network. Raises `OutputError`."""
    _write(_path(made_of, ".json"), {"made_of": dict(made_of), "facts": dict(facts)})


def read_graph(made_of: MadeOf) -> bytes | None:
    """A graph kept; None where there is none."""
    path = _path(made_of, ".onnx")
    content = _read(_note(path))
    try:
        graph = path.read_bytes()
    except OSError:
        return None
    return graph if content is not None and content.get("sha256") == hashlib.sha256(graph).hexdigest() else None


def write_graph(made_of: MadeOf, graph: bytes, difference: float) -> None:
    """Keep a graph; ``difference`` is by how much it was found to differ from the network, as a share of its range.

    Raises:
        OutputError: it cannot be written.
    """
    path = _path(made_of, ".onnx")
    prepare()
    atomic_write(path, graph)
    content = {"made_of": dict(made_of), "difference": difference, "sha256": hashlib.sha256(graph).hexdigest()}
    _write(_note(path), content)


def prepare() -> None:
    """Make sure that entries can be written, before long work. Raises `OutputError`."""
    _cache.prepare("graphs")


def _path(made_of: MadeOf, suffix: str) -> Path:
    digest = hashlib.sha256(_canonical(made_of)).hexdigest()[:16]
    name = re.sub(r"[^\w.-]+", "-", str(made_of["name"]))
    return _cache.folder("graphs") / f"{name}-{digest}{suffix}"


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_bytes())
        content = document["content"]
        whole = document["check"] == hashlib.sha256(_canonical(content)).hexdigest()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return content if whole and isinstance(content, dict) else None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    prepare()
    check = hashlib.sha256(_canonical(content)).hexdigest()
    atomic_write(path, json.dumps({"content": content, "check": check}, indent=1).encode())


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True).encode()
