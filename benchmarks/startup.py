"""Cold starts: ``kizu --help`` against the bare imports of what kizu stands on, and ``kizu predict`` of one image.

Fresh interpreters take turns, so that one run holds all figures. Times are from asking for the process to its end.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import _results

PYTHON = "python -c pass"
IMPORTS = 'python -c "import onnxruntime, cv2, faiss"'
HELP = "kizu --help"
LIMIT = "limit of that: a quarter of the imports, and 0.2 s"
PREDICT = "kizu predict, one image"

COMMANDS = {
    PYTHON: ["-c", "pass"],
    IMPORTS: ["-c", "import onnxruntime, cv2, faiss"],
    HELP: ["-m", "kizu", "--help"],
}
STAGED = Path(__file__).with_name("_cold_predict.py")


def seconds(arguments: Sequence[str]) -> float:
    """How long a fresh interpreter takes with these arguments. Fails when it does."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - started


def stages(model: Path, image: Path) -> dict[str, float]:
    """Seconds by stage of one cold prediction."""
    started = time.time()
    command = [sys.executable, str(STAGED), repr(started), str(model), str(image)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    ended = time.time()
    found: dict[str, float] = json.loads(printed)
    leaving = ended - found.pop("ended")
    return {**found, "exit": leaving}


def measure(commands: Mapping[str, Sequence[str]], model: Path, image: Path, runs: int) -> dict[str, list[float]]:
    """Seconds by name, one a run; the first run of each fills the caches and is thrown away."""
    times: dict[str, list[float]] = {}
    for run in range(runs + 1):
        _results.note(f"run {run} of {runs}")
        found = {name: seconds(arguments) for name, arguments in commands.items()}
        found |= {f"{PREDICT}: {stage}": passed for stage, passed in stages(model, image).items()}
        if run:
            for name, passed in found.items():
                times.setdefault(name, []).append(passed)
    return times


def rows(times: Mapping[str, Sequence[float]]) -> list[_results.Row]:
    """A row a measure, and one for the limit that ``kizu --help`` has to keep."""
    median = {name: statistics.median(values) for name, values in times.items()}
    limit = 0.25 * median[IMPORTS] + 0.2
    order = [PYTHON, IMPORTS, HELP, LIMIT, *(name for name in median if name.startswith(PREDICT))]
    median[LIMIT] = limit
    runs = len(times[HELP])
    made: list[_results.Row] = [
        {"measure": name, "ratio_to_imports": median[name] / median[IMPORTS], "seconds": median[name], "runs": runs}
        for name in order
    ]
    verdict = "within" if median[HELP] <= limit else "OVER"
    _results.note(f"{HELP}: {median[HELP]:.3f} s, {verdict} the limit of {limit:.3f} s")
    return made


def make_model(folder: Path, count: int) -> tuple[Path, Path]:
    """A model with default settings from ``count`` good cells, and an image to inspect."""
    import _solar
    import kizu

    model = folder / "cells.kizu"
    kizu.fit(_solar.dataset(count)).save(model)
    return model, _solar.defective_cells()[0].path


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        _results.note(f"fitting on {options.images} cells")
        model, image = make_model(Path(folder), options.images)
        commands = {**COMMANDS, PREDICT: ["-m", "kizu", "predict", str(model), str(image)]}
        found = rows(measure(commands, model, image, options.runs))
    _results.save("startup", found, key=("measure",), folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    parser.add_argument("--images", type=int, default=320, help="good cells the model is fitted on (320)")
    parser.add_argument("--runs", type=int, default=15, help="cold starts of each (15)")
    return parser


if __name__ == "__main__":
    _results.run(main)
