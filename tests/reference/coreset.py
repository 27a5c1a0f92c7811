"""Greedy k-center as the textbook has it: one pick, one pass over all rows, no matrix product."""

import numpy as np


def k_center_greedy(rows, count, start=0):
    """Row numbers in the order picked. Distances in float64 from differences; ties go to the lowest index."""
    exact = rows.astype(np.float64)
    picks = [start]
    nearest = ((exact - exact[start]) ** 2).sum(axis=1)
    while len(picks) < count and nearest.max() > 0:
        pick = int(nearest.argmax())
        picks.append(pick)
        nearest = np.minimum(nearest, ((exact - exact[pick]) ** 2).sum(axis=1))
    return np.array(picks)


def k_center_continued(rows, centres, at_least=0, radius=0.0):
    """The same after ``centres``, until ``at_least`` rows are picked and none is farther than ``radius`` from all."""
    exact = rows.astype(np.float64)
    picks = []
    nearest = np.min([((exact - centre) ** 2).sum(axis=1) for centre in centres.astype(np.float64)], axis=0)
    while len(rows) and nearest.max() > 0 and (len(picks) < at_least or np.sqrt(nearest.max()) > radius):
        pick = int(nearest.argmax())
        picks.append(pick)
        nearest = np.minimum(nearest, ((exact - exact[pick]) ** 2).sum(axis=1))
    return np.array(picks, dtype=np.int64)
