"""Detectors as nodes of a graph give the scores they give themselves, in hard places too."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from kizu import detectors
from kizu.detectors import Detector, _patchcore_graph
from kizu.errors import NotFittedError
from kizu.graphs import Graph, Output

GRID, CHANNELS = (5, 4), 12


def embeddings(images: int, seed: int, offset: float = 0.0) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal((images, *GRID, CHANNELS), dtype=np.float32)
    return (made + offset).astype(np.float32)


def written(detector: Detector) -> Any:
    """A session with the outputs ``patches`` and ``score``."""
    graph = Graph()
    name = graph.input("embedding", TensorProto.FLOAT, [1, *GRID, CHANNELS])
    patches, score = detector.write(graph, name, GRID)
    graph.node("Identity", [patches], "patches")
    graph.node("Identity", [score], "score")
    return onnxruntime.InferenceSession(graph.serialised([Output("patches", (1, *GRID)), Output("score", ())]))


def assert_agree(detector: Detector, queries: np.ndarray, rel: float = 1e-5) -> None:
    detector.search_exactly()
    session = written(detector)
    for query in queries:
        patches, score = session.run(["patches", "score"], {"embedding": query[None]})
        expected = detector.score(query[None])
        np.testing.assert_allclose(patches, expected.patches, rtol=rel, atol=rel * float(expected.patches.max()))
        assert float(score) == pytest.approx(float(expected.images[0]), rel=rel)


VARIANTS = [
    ("patchcore", {}),
    ("patchcore", {"coreset_ratio": 1.0, "neighbors": 4}),
    ("patchcore", {"coreset_ratio": 1.0, "reweight": True, "reweight_neighbors": 2}),
    ("patchcore", {"coreset_ratio": 1.0, "reweight": True, "neighbors": 9, "reweight_neighbors": 30}),
    ("patchcore", {"coreset_ratio": 1.0, "reweight": "walkthrough"}),
    ("patchcore", {"coreset_count": 300, "search": "approximate"}),
    ("patchcore", {"coreset_count": 3, "neighbors": 5, "reweight": True}),
    ("patchcore", {"coreset_count": 1, "reweight": "walkthrough"}),
    ("ensemble", {}),
    ("ensemble", {"parts": [[0, 5], [3, 12]], "coreset_ratio": 1.0}),
    ("ensemble", {"parts": [[4, 8]], "coreset_ratio": 0.3, "search": "approximate"}),
    ("padim", {}),
    ("padim", {"reduced_dims": 1}),
    ("padim", {"reduced_dims": 7, "regularisation": 1e-4}),
]


@pytest.mark.parametrize(("name", "parameters"), VARIANTS)
@pytest.mark.parametrize("rows_at_a_time", [4096, 61])
@pytest.mark.filterwarnings("ignore:PaDiM fits")
def test_a_graph_scores_as_its_detector(
    name: str, parameters: dict[str, Any], rows_at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_patchcore_graph, "ROWS_AT_A_TIME", rows_at_a_time)
    detector = detectors.build(name, parameters).fit([embeddings(40, seed=0)])
    assert_agree(detector, embeddings(6, seed=1) * np.float32(1.5))


@pytest.mark.parametrize("constant", [0.0, 3.0])
def test_a_part_that_is_the_same_everywhere(constant: float) -> None:
    good, test = embeddings(20, seed=0), embeddings(3, seed=1)
    good[..., :5] = constant
    assert_agree(detectors.build("ensemble", {"parts": [[0, 5], [5, CHANNELS]]}).fit([good]), test)


@pytest.mark.parametrize("neighbors", [1, 3])
def test_cancellation_does_not_reach_a_score(neighbors: int) -> None:
    """Far from the origin |x|² + |y|² − 2xy is left with no digits."""
    good = embeddings(20, seed=0, offset=1e4)
    detector = detectors.build("patchcore", {"coreset_ratio": 1.0, "neighbors": neighbors}).fit([good])
    assert_agree(detector, embeddings(4, seed=1, offset=1e4))


def test_a_full_bank_scores_its_own_patches_zero() -> None:
    for offset in (0.0, 1e4):
        good = embeddings(20, seed=0, offset=offset)
        session = written(detectors.build("patchcore", {"coreset_ratio": 1.0}).fit([good]))
        for image in good[:5]:
            patches, score = session.run(["patches", "score"], {"embedding": image[None]})
            assert (patches.max(), float(score)) == (0.0, 0.0)


def test_rows_that_are_there_twice() -> None:
    good = np.concatenate([embeddings(5, seed=0)] * 8)
    detector = detectors.build("patchcore", {"coreset_ratio": 1.0, "neighbors": 3, "reweight": True}).fit([good])
    assert_agree(detector, embeddings(3, seed=1))


@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_only_what_is_fitted_can_be_written(name: str) -> None:
    with pytest.raises(NotFittedError):
        detectors.build(name, {}).write(Graph(), "embedding", GRID)
