"""A publisher of our own: resnet18's weights on a server of this machine, and a cache that is empty."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from backbones import resnets
from downloads.serving import Site, serving
from kizu.backbones import _registry, resnet
from kizu.backbones.weights._files import Published

FILE = "resnet18-0000.pth"


@cache
def content() -> bytes:
    """Random weights for resnet18, as a safetensors file."""
    with tempfile.TemporaryDirectory() as folder:
        state = resnets.random_state(resnet.RESNETS["resnet18"].plan.shapes())
        return resnets.write_safetensors(Path(folder) / "net", state).read_bytes()


@cache
def sha256() -> str:
    return hashlib.sha256(content()).hexdigest()


@dataclass(frozen=True)
class Publisher:
    """Where its file is and where it is kept."""

    site: Site
    url: str
    kept: Path
    published: Published


@contextmanager
def publishing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Publisher]:
    """``resnet18`` downloads from this machine, into ``folder``."""
    monkeypatch.setenv("KIZU_CACHE", str(folder))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(Site(content())) as site:
        url = f"{site.url.rpartition('/')[0]}/{FILE}"
        published = Published("resnet18", url, sha256()[:8], len(content()))
        net = resnet.RESNETS["resnet18"]
        card = replace(net.card, weights=url, sha256=published.sha256)
        monkeypatch.setitem(_registry._backbones, "resnet18", replace(net, card=card, published=published))
        yield Publisher(site, url, folder / "weights" / FILE, published)
