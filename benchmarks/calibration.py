"""Do thresholds from good images alone hold? Two tables and a picture.

``calibration``: scores of the images of a fit, made in several ways, against those of good images that the fit never
saw: their mean, a two-sample test (Kolmogorov and Smirnov; a small p says that they differ), and the share of unseen
good images called NG at thresholds meant for 1, 5 and 20 %. *as fitted* is what one gets without any care; *own rows
dropped* leaves an image's own bank rows out and puts nothing in their place.

``coverage``: good images divided at random again and again; a fit on one part, each image left out in turn, judges
the rest. The promise is that on average at most the asked share is called NG. *simulated* draws scores from a
heavy-tailed distribution instead, 20,000 times.

DATA is a folder or list in any layout kizu knows; --solar adds the cells of ``elpv-dataset``. Needs SciPy and
Matplotlib.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import _data
import _results
import _solar
from kizu import detectors
from kizu.calibration import conformal
from kizu.datasets import Dataset, Sample

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

SHARES = (0.01, 0.05, 0.2)
SIMULATED = 20_000
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "calibration.png"


@dataclass(frozen=True)
class Good:
    """Embeddings ``(n, h, w, D)`` of a data set's good images: those to fit on, and others."""

    name: str
    fit: Float32
    unseen: Float32

    @property
    def every(self) -> Float32:
        return np.concatenate([self.fit, self.unseen])


def embedded(name: str, data: Dataset, limit: int | None) -> Good:
    engine = _solar.engine()

    def of(samples: Sequence[Sample]) -> Float32:
        return np.concatenate(list(_solar.embeddings(engine, samples[:limit])))

    return Good(name, of(data.train_good()), of([sample for sample in data.test() if sample.label == "good"]))


def build(detector: str) -> Any:
    return detectors.build(detector, {})


def scores_of(detector: Any, embeddings: Float32) -> Float64:
    return np.concatenate([detector.score(one[None]).images for one in embeddings]).astype(np.float64)


def ways(detector: str, good: Good, folds: int) -> tuple[dict[str, Float64], Float64]:
    """Scores of the fit's images by the way they were made, and those of unseen ones."""
    fitted = build(detector).fit([good.fit], images=len(good.fit), leave_one_out=True)
    found = {"as fitted": scores_of(fitted, good.fit), "each left out": fitted.left_out_.images.astype(np.float64)}
    if detector == "patchcore":
        found["own rows dropped"] = dropped(fitted, good.fit)
    if folds:
        found[f"{folds} folds"] = folded(detector, good.fit, folds)
    return found, scores_of(fitted, good.unseen)


def dropped(fitted: Any, embeddings: Float32) -> Float64:
    """Each image against the bank without its own rows."""
    from kizu.neighbors import ExactNeighbors

    found = []
    for place, image in enumerate(embeddings):
        rest = ExactNeighbors(fitted.bank_[fitted.owners_ != place])
        found.append(rest.search(image.reshape(-1, image.shape[-1]), 1)[0].max())
    return np.array(found, np.float64)


def folded(detector: str, embeddings: Float32, folds: int) -> Float64:
    fold = np.random.default_rng(0).permutation(len(embeddings)) % folds
    found = np.empty(len(embeddings))
    for number in range(folds):
        fitted = build(detector).fit([embeddings[fold != number]], images=int((fold != number).sum()))
        found[fold == number] = scores_of(fitted, embeddings[fold == number])
    return found


def compared(detector: str, good: Good, folds: int) -> tuple[list[_results.Row], dict[str, Float64]]:
    from scipy import stats

    found, unseen = ways(detector, good, folds)
    rows: list[_results.Row] = []
    for way, scores in found.items():
        called = {share: unseen > conformal.threshold(scores, share) for share in SHARES}
        alarms = {f"alarms_{share:g}": float(ng.mean()) for share, ng in called.items()}
        row: dict[str, _results.Value] = {"data": good.name, "detector": detector, "scores": way}
        row |= {"images": len(scores), "unseen": len(unseen), "mean_ratio": float(scores.mean() / unseen.mean())}
        rows.append({**row, "ks": float(stats.ks_2samp(scores, unseen).pvalue), **alarms})
    return rows, {**found, "unseen": unseen}


def covered(detector: str, good: Good, count: int, splits: int) -> _results.Row:
    """The share of other good images called NG, over random divisions of all good ones."""
    every, alarms = good.every, []
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(len(every))
        fitted = build(detector).fit([every[order[:count]]], images=count, leave_one_out=True)
        left_out, other = fitted.left_out_.images.astype(np.float64), scores_of(fitted, every[order[count:]])
        alarms.append([float((other > conformal.threshold(left_out, share)).mean()) for share in SHARES])
    return coverage_row(good.name, detector, count, alarms)


def simulated(count: int) -> _results.Row:
    """The same of scores drawn from a log-normal distribution, whose tail is known."""
    from scipy import stats

    law = stats.lognorm(0.5)
    rng = np.random.default_rng(0)
    drawn = (rng.lognormal(0, 0.5, count) for _ in range(SIMULATED))
    alarms = [[float(law.sf(conformal.threshold(scores, share))) for share in SHARES] for scores in drawn]
    return coverage_row("simulated", "", count, alarms)


def coverage_row(name: str, detector: str, count: int, alarms: Sequence[Sequence[float]]) -> _results.Row:
    row: dict[str, _results.Value] = {"data": name, "detector": detector, "images": count, "splits": len(alarms)}
    for share, found in zip(SHARES, zip(*alarms, strict=True), strict=True):
        row[f"promised_{share:g}"] = conformal.promised(share, count)
        row[f"mean_{share:g}"] = statistics.fmean(found)
        row[f"highest_{share:g}"] = max(found) if len(found) <= 100 else float(np.quantile(found, 0.95))
    return row


def draw(every: dict[tuple[str, str], dict[str, Float64]], path: Path) -> None:
    """Distribution functions: scores made with care lie on those of unseen images."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(every), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    colours = {"unseen": "black", "each left out": "#0072b2", "as fitted": "#d55e00", "own rows dropped": "#999999"}
    for place, ((name, detector), found) in enumerate(every.items(), start=1):
        axes = figure.add_subplot(1, len(every), place)
        for way, colour in colours.items():
            if way in found:
                values = np.sort(found[way])
                share = np.arange(1, len(values) + 1) / len(values)
                width = 3 if way == "unseen" else 1.5
                axes.step(values, share, label=f"{way} ({len(values)})", color=colour, linewidth=width)
        axes.set(title=f"{name}, {detector}", xlabel="score", ylabel="share of good images at or below")
        axes.legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    print(f"wrote {path}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _options()
    options = parser.parse_args(arguments)
    if not options.data and not options.solar:
        parser.error("name data sets, or give --solar")
    keep("coverage", [simulated(count) for count in (20, 99, 500)], options.results)
    curves = {}
    for name, data in _data.named(options.data, _data.CELLS if options.solar else ()):
        good = embedded(name, data, options.limit)
        for detector in options.detectors:
            _results.note(f"{name}, {detector}")
            rows, curves[name, detector] = compared(detector, good, options.folds)
            keep("calibration", rows, options.results)
            if options.splits:
                row = covered(detector, good, min(options.fit, len(good.fit)), options.splits)
                keep("coverage", [row], options.results)
        del good
    drawn = {key: found for key, found in curves.items() if key[1] == "patchcore"}
    if options.picture and drawn:
        draw(drawn, options.picture)


def keep(table: str, rows: Sequence[_results.Row], folder: Path) -> None:
    """Write them at once: an interrupt loses nothing that was measured."""
    key = ("data", "detector", "scores" if table == "calibration" else "images")
    _results.save(table, rows, key=key, folder=folder)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    parser.add_argument("data", nargs="*", type=Path, metavar="DATA", help="folders or lists of images")
    parser.add_argument("--solar", action="store_true", help="the solar cells, mono and poly, too")
    both = ["patchcore", "padim"]
    parser.add_argument("--detectors", type=_results.listed(str), default=both, help="(patchcore,padim)")
    parser.add_argument("--folds", type=int, default=5, help="parts for folds; 0: none (5)")
    parser.add_argument("--fit", type=int, default=200, help="images a split is fitted on (200)")
    parser.add_argument("--splits", type=int, default=10, help="random divisions for the coverage; 0: none (10)")
    parser.add_argument("--limit", type=int, help="use so many images of each kind only, for a quick look")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="where the picture goes (docs/images)")
    return parser


if __name__ == "__main__":
    _results.run(main)
