"""PatchCore's scores in plain loops, float64: equations 6 and 7 of arXiv 2106.08265."""

from __future__ import annotations

import math

import numpy as np


def distance(a, b):
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))


def scores(embeddings, bank, neighbors=1, reweight_neighbors=None):
    """Patch scores ``(B, h, w)`` and image scores ``(B,)`` of embeddings ``(B, h, w, D)``."""
    patches = np.zeros(embeddings.shape[:3])
    images = np.zeros(len(embeddings))
    for image, grid in enumerate(embeddings):
        top, top_patch = -1.0, None
        for place in np.ndindex(grid.shape[:2]):
            nearest = sorted(distance(grid[place], row) for row in bank)[:neighbors]
            patches[image][place] = sum(nearest) / len(nearest)
            if patches[image][place] > top:
                top, top_patch = patches[image][place], grid[place]
        images[image] = top
        if reweight_neighbors is not None:
            images[image] *= weight(top_patch, bank, reweight_neighbors)
    return patches, images


def weight(patch, bank, count):
    """1 − exp‖patch − m*‖ / Σ exp‖patch − m‖ over the ``count`` bank rows m nearest to m*, m* among them."""
    nearest = min(bank, key=lambda row: distance(patch, row))
    around = sorted(bank, key=lambda row: distance(nearest, row))[:count]
    return 1 - math.exp(distance(patch, nearest)) / sum(math.exp(distance(patch, row)) for row in around)


def walkthrough_scores(embeddings, bank, count):
    """Image scores ``(B,)`` as k-washi/anomaly_detection_exp_v1 writes them, exponentials and all."""
    images = np.zeros(len(embeddings))
    for image, grid in enumerate(embeddings):
        found = [sorted(distance(patch, row) for row in bank)[:count] for patch in grid.reshape(-1, grid.shape[-1])]
        top = max(found, key=lambda nearest: nearest[0])
        weight = 1 - max(math.exp(d) for d in top) / sum(math.exp(d) for d in top)
        images[image] = weight * top[0]
    return images
