"""One fit of ``quality.py`` and what comes of it, in a process of its own: ``python _quality_run.py JOB``.

JOB is JSON: where the data is (``place``), the ``settings`` of the fit, ``seed``, how many images of each kind to use
(``limit``) and how many to time (``timed``). Figures go to stdout as JSON; where kizu says that this cannot be done,
``{"cannot": why}``.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2  # noqa: F401
import faiss  # noqa: F401
import numpy as np
import onnx  # noqa: F401
import onnxruntime  # noqa: F401

import _results
import kizu
from _data import Place, limited
from _peer import WARM_UP
from kizu import images
from kizu.datasets import Sample
from kizu.errors import KizuError
from memory import MIB, forget_peak, peak


def measure(job: dict[str, Any]) -> _results.Row:
    """Fit, time single images, evaluate. The peak of memory is that of the first two; judging takes some as well."""
    data = limited(Place(**job["place"]).load(job["seed"])[1], job["limit"])
    forget_peak()
    loaded, started = peak(), time.perf_counter()
    inspector = kizu.fit(data, **job["settings"], seed=job["seed"])
    seconds = time.perf_counter() - started
    times = milliseconds(inspector, spread([sample for sample in data.test() if sample.label], job["timed"]))
    most = peak()
    evaluation = kizu.evaluate(inspector, data)
    return {
        **image_figures(evaluation),
        **pixel_figures(evaluation),
        "fit_images": inspector.provenance["data"]["fitted"],
        "fit_seconds": seconds,
        "ms_an_image": statistics.median(times),
        "ms_p95": float(np.percentile(times, 95)),
        "timed_images": len(times),
        "peak_mib": most / MIB,
        "loaded_mib": loaded / MIB,
        "bank_rows": inspector.detector.summary().get("bank rows"),
        "model_mib": model_mib(inspector),
    }


def spread(samples: Sequence[Sample], count: int) -> list[Sample]:
    """``count`` of them from first to last at even distances; all where there are no more."""
    most = min(count, len(samples))
    return [samples[number * len(samples) // most] for number in range(most)]


def milliseconds(inspector: kizu.Inspector, samples: Sequence[Sample]) -> list[float]:
    """From the decoded image to score and map, one image at a time with nothing beside it, after a few to warm up."""
    found = [
        inspector.inspect(images.read_image(sample.path)).milliseconds for sample in [*samples[:WARM_UP], *samples]
    ]
    return found[len(found) - len(samples) :]


def image_figures(evaluation: kizu.Evaluation) -> dict[str, _results.Value]:
    """Ranking figures; and at the threshold, the shares of good parts called NG and of bad ones let pass."""
    image = evaluation.image
    good, bad = image.fp + image.tn, image.fn + image.tp
    return {
        "image_auroc": image.auroc,
        "image_ap": image.ap,
        "image_f1_max": image.f1_max,
        "false_alarms": image.fp / good if good else None,
        "missed": image.fn / bad if bad else None,
        "test_good": good,
        "test_bad": bad,
    }


def pixel_figures(evaluation: kizu.Evaluation) -> dict[str, _results.Value]:
    pixel = evaluation.pixel
    names = ("auroc", "ap", "f1_max", "aupro")
    return {f"pixel_{name}": None if pixel is None else getattr(pixel, name) for name in names}


def model_mib(inspector: kizu.Inspector) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.kizu"
        inspector.save(path)
        return path.stat().st_size / MIB


def main() -> None:
    try:
        found = measure(json.loads(sys.argv[1]))
    except KizuError as error:
        found = {"cannot": str(error)}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
