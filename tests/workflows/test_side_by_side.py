"""Images worked on several at a time give what they give one by one."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

import kizu
from kizu.detectors import Detector
from kizu.images import find_images, read_image
from kizu.workflows import predict


def test_the_same_to_the_last_bit(each_model: Path, parts: Path) -> None:
    inspector = kizu.load(each_model)
    paths = list(find_images(parts, recursive=True))
    together = list(predict(inspector, [parts]))
    assert [found.path for found in together] == paths
    for path, found in zip(paths, together, strict=True):
        alone = inspector.inspect(read_image(path))
        assert found.score == alone.score
        assert found.anomaly_map.tobytes() == alone.anomaly_map.tobytes()


class Counting:
    """How many threads score at once, at most."""

    def __init__(self, detector: Detector) -> None:
        self.now = self.most = 0
        self._lock, self._score = threading.Lock(), detector.score

    def score(self, embeddings: np.ndarray) -> object:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.01)
        found = self._score(embeddings)
        with self._lock:
            self.now -= 1
        return found


@pytest.mark.parametrize("side_by_side", [True, False])
def test_detectors_that_do_not_bear_it_score_one_at_a_time(
    model: Path, parts: Path, side_by_side: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspector = kizu.load(model)
    counting = Counting(inspector.detector)
    monkeypatch.setattr(inspector.detector, "score", counting.score)
    monkeypatch.setattr(type(inspector.detector), "side_by_side", side_by_side)
    list(predict(inspector, [parts]))
    assert (counting.most > 1) == side_by_side


def test_detectors_are_not_asked_for_it_unless_they_say_so() -> None:
    assert not Detector.side_by_side
