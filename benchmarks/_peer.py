"""What every peer of ``peers.py`` does in its own process: fit on files, then score one decoded image after another.

``python peers/NAME.py JOB.json``. The job names images and settings; scores and maps go to its folder, figures to
stdout as JSON. This file needs NumPy alone, since a peer may live in an environment without kizu.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from memory import MIB, forget_peak, peak

Image = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]

WARM_UP = 3
"""Images scored before any is timed."""

FEWEST_PICKS = 4
"""Of which a pace is told, and that of their first half."""

FILLED_RUNS = 20
"""Images scored with a bank filled up to the size that was asked for."""


@dataclass(frozen=True)
class Job:
    """``train`` and ``test``: image files. ``ratio``: share of the patches to keep; of these a peer that looks at all
    patches for every pick makes ``picks`` at most (None: all). ``side``: of the square that is seen, in pixels.
    """

    train: Sequence[str]
    test: Sequence[str]
    folder: str
    layers: Sequence[str] = ("blocks.2", "blocks.4")
    side: int = 256
    ratio: float = 0.1
    picks: int | None = None
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return Path(self.folder)

    def wanted(self, patches: int) -> int:
        """The rows that ``ratio`` asks for."""
        return max(1, round(self.ratio * patches))

    def picked(self, patches: int) -> int:
        """Those that are picked one by one."""
        wanted = self.wanted(patches)
        return wanted if self.picks is None else min(wanted, self.picks)


class Peer(Protocol):
    """Made with its libraries loaded; what it learns is its own affair."""

    def fit(self, files: Sequence[str]) -> dict[str, Any]:
        """Learn from image files; seconds by stage (``features``, ``selection``, ``calibration``) and what it kept
        (``patches``, ``bank_rows``). Where rows are picked one by one: ``picks``, the seconds at which each was made,
        and ``wanted``, how many were asked for.
        """
        ...

    def read(self, file: str) -> Image:
        """``(H, W, 3)`` RGB uint8 of a file."""
        ...

    def score(self, image: Image) -> tuple[float, Map]:
        """Score and anomaly map of a decoded image."""
        ...

    def fill(self, rows: int) -> None:
        """Make the bank ``rows`` long, whatever is in it: the time of an image depends on nothing else."""
        ...

    def size(self) -> float:
        """Bytes of the model on disk."""
        ...

    def library(self) -> str:
        """What it stands on, with versions."""
        ...


class Stopwatch:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def mark(self, stage: str) -> None:
        """What passed since the last mark was ``stage``."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now


def run(make: Callable[[Job], Peer]) -> None:
    """Do the job named on the command line."""
    job = Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    peer = make(job)
    forget_peak()
    loaded, started = peak(), time.perf_counter()
    found = peer.fit(job.train)
    figures = {"fit": time.perf_counter() - started, "loaded_mib": loaded / MIB, **_told(found)}
    figures["fit_mib"] = peak() / MIB
    figures |= _scored(peer, job)
    if len(found.get("picks", ())) < found.get("wanted", 0):
        peer.fill(found["wanted"])
        figures["ms_filled"] = statistics.median(_times(peer, job.test[:FILLED_RUNS]))
    figures |= {"peak_mib": peak() / MIB, "model_mib": peer.size() / MIB, "library": peer.library()}
    print(json.dumps(figures), flush=True)


def _told(found: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of a fit; of its picks the pace, in all and in their first half."""
    told = {key: value for key, value in found.items() if key != "picks"}
    at: Sequence[float] = found.get("picks", ())
    if at:
        told["picks"] = len(at)
    if len(at) >= FEWEST_PICKS:
        told |= {"ms_a_pick": _pace(at), "ms_a_pick_first_half": _pace(at[: len(at) // 2])}
    return told


def _pace(at: Sequence[float]) -> float:
    """Milliseconds a pick, from the first to the last."""
    return (at[-1] - at[0]) / (len(at) - 1) * 1e3


def _scored(peer: Peer, job: Job) -> dict[str, Any]:
    """Score every test image; scores and maps are kept for the one judge of all."""
    times, scores, maps = [], [], []
    for file in [*job.test[:WARM_UP], *job.test]:
        milliseconds, score, anomaly_map = _timed(peer, peer.read(file))
        times.append(milliseconds)
        scores.append(score)
        maps.append(np.asarray(anomaly_map, np.float16))
    skip = len(times) - len(job.test)
    np.save(job.path / "scores.npy", np.array(scores[skip:], np.float64))
    np.save(job.path / "maps.npy", np.stack(maps[skip:]))
    return {"ms": statistics.median(times[skip:]), "ms_p95": float(np.percentile(times[skip:], 95))}


def _times(peer: Peer, files: Sequence[str]) -> list[float]:
    return [_timed(peer, peer.read(file))[0] for file in files]


def _timed(peer: Peer, image: Image) -> tuple[float, float, Map]:
    """Milliseconds from the decoded image to score and map, and both."""
    started = time.perf_counter()
    score, anomaly_map = peer.score(image)
    return (time.perf_counter() - started) * 1e3, float(score), anomaly_map
