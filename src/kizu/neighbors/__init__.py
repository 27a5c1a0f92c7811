"""Nearest rows of a memory bank: exact, or approximate with its recall measured.

FAISS (arXiv 2401.08281) finds the rows; approximate search walks an HNSW graph (arXiv 1603.09320). Either way the
distances returned are computed again from differences of the rows found, so that a row's distance to itself is 0
where FAISS's ``|x|² + |y|² − 2xy`` leaves a rest. Queries whose neighbours lie within that rest are searched again
by differences alone.
"""

from kizu.neighbors._approximate import Accuracy, ApproximateNeighbors, tuned
from kizu.neighbors._exact import ExactNeighbors, Neighbors
from kizu.neighbors._graph import GRAPH_LEVELS, GRAPH_LINKS, Graph, link

__all__ = [
    "GRAPH_LEVELS",
    "GRAPH_LINKS",
    "Accuracy",
    "ApproximateNeighbors",
    "ExactNeighbors",
    "Graph",
    "Neighbors",
    "link",
    "tuned",
]
