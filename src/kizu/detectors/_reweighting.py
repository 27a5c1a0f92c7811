"""Weights of PatchCore's image score: ``score = weight · largest patch score``.

Both are one minus a softmax over a few distances, written with the largest one taken off so that no exponential
overflows; they differ in whose distances these are. Where the bank has but one row there is nothing to weigh: 1.
``top`` is the patch of largest score, ``m*`` the bank row
nearest to it, ``b`` the parameter ``reweight_neighbors``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]


def of_paper(to_nearest: Float32, around: Float32) -> Float32:
    """Eq. 7 of arXiv 2106.08265: ``1 − exp‖top − m*‖ / Σ exp‖top − m‖`` over the b bank rows m nearest to m*.

    ``to_nearest`` ``(B,)``: ‖top − m*‖. ``around`` ``(B, b)``: the ‖top − m‖, that of m* among them. → ``(B,)`` in
    [0, 1].
    """
    return _left_over(to_nearest, around)


def of_walkthrough(nearest: Float32) -> Float32:
    """``1 − max(exp N) / Σ exp N`` over N, top's own distances to the b bank rows nearest to it.

    As k-washi/anomaly_detection_exp_v1 has it (``src/model/patchcore.py``): the largest distance stands where eq. 7
    has the smallest, and the rows are top's neighbours, not those of m*. ``nearest`` ``(B, b)`` → ``(B,)`` in [0, 1].
    """
    return _left_over(nearest.max(axis=1), nearest)


def _left_over(one: Float32, among: Float32) -> Float32:
    """``1 − exp(one) / Σ exp(among)``, not below 0: ``(B,)`` and ``(B, b)`` → ``(B,)``; 1 where b is 1."""
    if among.shape[1] < 2:
        return np.ones(len(one), np.float32)
    largest = among.max(axis=1)
    total = np.exp(among - largest[:, None]).sum(axis=1)
    weights: Float32 = np.maximum(1.0 - np.exp(one - largest) / total, 0.0).astype(np.float32)
    return weights
