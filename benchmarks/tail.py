"""Does the tail estimate's interval hold as often as it says? From distributions whose tail is known, and real
scores.

Again and again a few scores are drawn; from them the score that 1 % (0.1 %) exceed is estimated, and compared with
the true one. Of real scores, those of good solar cells each left out and of others, the true one is that of all of
them. Two columns tell what a threshold so chosen really calls NG on average, beside the highest score, which is all
one has without an estimate. *moments* is the usual way: probability-weighted moments and a parametric bootstrap
(Hosking, Wallis 1987). Needs SciPy.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import _good_scores
import _results
from kizu.calibration.tail import fit_tail

Float64 = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Float64]

SHARES = (0.01, 0.001)
BOOTSTRAP = 200


@dataclass(frozen=True)
class Population:
    """Where scores are drawn from, the share of it that exceeds a score, and the score that a share exceeds."""

    name: str
    draw: Draw
    exceeding: Callable[[Float64], Any]
    at: Callable[[float], float]


def populations(real: dict[str, Float64]) -> list[Population]:
    from scipy import stats

    laws = {
        "normal": stats.norm(20, 3),
        "log-normal, σ 0.3": stats.lognorm(0.3),
        "gamma, 4": stats.gamma(4),
        "exponential": stats.expon(),
        "Student, 5": stats.t(5),
        "uniform": stats.uniform(),
    }
    known = [Population(name, _drawn_from(law), law.sf, law.isf) for name, law in laws.items()]
    return known + [_of(name, scores) for name, scores in real.items()]


def _drawn_from(law: Any) -> Draw:
    return lambda rng, count: np.asarray(law.rvs(count, random_state=rng), np.float64)


def _of(name: str, scores: Float64) -> Population:
    held = np.sort(scores)

    def exceeding(values: Float64) -> Float64:
        return 1 - np.searchsorted(held, values, side="right") / len(held)

    def at(share: float) -> float:
        return float(held[len(held) - 1 - int(share * len(held))])

    return Population(name, lambda rng, count: rng.choice(scores, count, replace=False), exceeding, at)


def measure(of: Population, count: int, share: float, runs: int) -> _results.Row:
    """How often intervals hold the true score, and what is called NG at the estimates."""
    rng, true = np.random.default_rng(0), of.at(share)
    found, usual, highest = [], [], []
    for _ in range(runs):
        scores = of.draw(rng, count)
        estimate = fit_tail(scores).exceeded_by(share)
        found.append((estimate.low, estimate.threshold, estimate.high))
        usual.append(moments(scores, share, rng))
        highest.append(scores.max())
    ours, theirs = np.array(found), np.array(usual)
    return {
        "scores": of.name,
        "images": count,
        "share": share,
        "runs": runs,
        "holds": float(((ours[:, 0] <= true) & (true <= ours[:, 2])).mean()),
        "too_low": float((ours[:, 2] < true).mean()),
        "moments_hold": float(((theirs[:, 0] <= true) & (true <= theirs[:, 2])).mean()),
        "called_ng": float(np.mean(of.exceeding(ours[:, 1]))),
        "called_ng_median": float(np.median(of.exceeding(ours[:, 1]))),
        "called_ng_highest": float(np.mean(of.exceeding(np.array(highest)))),
        "width": float(np.median((ours[:, 2] - ours[:, 0]) / true)),
    }


def moments(scores: Float64, share: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """Low, estimate and high of the usual way, from as many excesses."""
    tail = fit_tail(scores)
    excess = np.sort(scores)[len(scores) - tail.excesses :] - tail.above
    shape, scale = (float(value[0]) for value in weighted(excess[None]))
    uniform = rng.random((BOOTSTRAP, tail.excesses))
    again = quantile(np.array([[shape]]), np.array([[scale]]), uniform)
    drawn = quantile(*weighted(np.sort(again, axis=1)), np.array(share / tail.reaches))
    low, high = np.quantile(drawn, [0.05, 0.95])
    middle = float(quantile(np.array(shape), np.array(scale), np.array(share / tail.reaches)))
    return tail.above + float(low), tail.above + middle, tail.above + float(high)


def weighted(excess: Float64) -> tuple[Float64, Float64]:
    """Shape and scale by probability-weighted moments, of each row of sorted excesses ``(B, k)``."""
    count = excess.shape[1]
    mean, low = excess.mean(axis=1), (excess * (count - 1 - np.arange(count)) / (count - 1)).mean(axis=1)
    shape = 2 - mean / np.maximum(mean - 2 * low, 1e-12)
    return shape, 2 * mean * low / np.maximum(mean - 2 * low, 1e-12)


def quantile(shape: Float64, scale: Float64, share: Float64) -> Float64:
    """The excess that ``share`` of a generalised Pareto distribution exceeds."""
    safe = np.where(np.abs(shape) < 1e-9, 1e-9, shape)
    return np.asarray(scale * np.expm1(-safe * np.log(share)) / safe)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    real: dict[str, Float64] = {}
    for kind in options.solar:
        found = _good_scores.cells(kind, options.keep and options.keep.with_name(f"{options.keep.name}-{kind}.npz"))
        real[f"solar cells, {kind}"] = np.concatenate([found["calibration"], found["unseen"]])
    rows = []
    for of in populations(real):
        _results.note(of.name)
        shares = SHARES[:1] if of.name in real else SHARES  # real ones are too few to know what 0.1 % exceed
        rows += [measure(of, count, share, options.runs) for count in options.images for share in shares]
    _results.save("tail", rows, key=("scores", "images", "share"), folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    parser.add_argument("--images", type=_results.listed(int), default=[10, 20, 50, 100], help="(10,20,50,100)")
    parser.add_argument("--runs", type=int, default=500, help="draws of each kind (500)")
    parser.add_argument("--solar", type=_results.listed(str), default=["mono", "poly"], help="cells (mono,poly)")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="where scores of cells are kept for the next run")
    return parser


if __name__ == "__main__":
    _results.run(main)
