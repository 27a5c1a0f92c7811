"""anomalib in an environment of its own, and the weights of kizu's default backbone in timm's words."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from platformdirs import user_cache_path

import _results
import _solar
from kizu import backbones, images
from kizu.backbones.weights import _state_dict

Arrays = dict[str, npt.NDArray[np.float32]]

WANTED = "anomalib[cpu]>=2.7,<3"
REPEATS = (1, 2, 2, 3, 3, 4, 1)
"""Blocks of each stage of EfficientNet-Lite0: the weight file numbers them through, timm by stage."""

TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""Parts of a block of the first stage, which does not expand."""

EXPANDED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def python(given: Path | None) -> Path:
    """The interpreter that has anomalib: the one given, or that of an environment made now and kept."""
    if given is None:
        return _made(user_cache_path("kizu") / "benchmarks" / "anomalib")
    if not given.is_file():
        raise SystemExit(f"{given}: there is no such interpreter; give the python of an environment with anomalib")
    problem = _problem(given)
    if problem:
        raise SystemExit(f"{given}: anomalib cannot be imported: {problem}. Install '{WANTED}' there.")
    return given


def _made(folder: Path) -> Path:
    """The interpreter of the environment in ``folder``, which is made, or finished, where it is not there."""
    found = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not found.exists():
        _results.note(f"making an environment for anomalib in {folder}: some 6 GB, some minutes")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    if _problem(found):
        subprocess.run([str(found), "-m", "pip", "install", "--quiet", WANTED], check=True)
    problem = _problem(found)
    if problem:
        raise SystemExit(f"{folder}: anomalib was installed and cannot be imported: {problem}. Remove that folder.")
    return found


def _problem(interpreter: Path) -> str:
    """Why anomalib cannot be imported there; empty where it can."""
    done = subprocess.run([str(interpreter), "-c", "import anomalib"], capture_output=True, text=True, check=False)
    return (done.stderr.strip().splitlines() or ["it failed"])[-1] if done.returncode else ""


def hand_over(folder: Path, layers: Sequence[str]) -> dict[str, str]:
    """Write weights, and what kizu's graph makes of some images: the files by the names of the peer's options."""
    weights, expected = folder / "weights.npz", folder / "expected.npz"
    np.savez(weights, **timm_weights())  # type: ignore[arg-type]
    np.savez(expected, **features(layers))  # type: ignore[arg-type]
    return {"weights": str(weights), "expected": str(expected)}


def timm_weights() -> Arrays:
    """The packaged weights of the default backbone, named as timm's ``tf_efficientnet_lite0`` names them."""
    backbone = backbones.get(_solar.BACKBONE)
    assert isinstance(backbone, backbones.Located)
    path = backbone.weight_file().path
    if path is None:
        raise SystemExit(f"the weights are not here; run: {backbone.weight_file().obtain}")
    tensors = _state_dict.load(path.read_bytes(), str(path))
    return {timm_name(name): array for name, array in tensors.items() if not name.endswith("num_batches_tracked")}


def timm_name(name: str) -> str:
    """A parameter of the weight file as timm calls it.

    >>> timm_name("_conv_stem.weight"), timm_name("_blocks.0._bn1.bias"), timm_name("_blocks.4._expand_conv.weight")
    ('conv_stem.weight', 'blocks.0.0.bn1.bias', 'blocks.2.1.conv_pw.weight')
    """
    found = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if not found:
        part, _, parameter = name.partition(".")
        return f"{TOP[part]}.{parameter}"
    number, stage = int(found[1]), 0
    while number >= REPEATS[stage]:
        number -= REPEATS[stage]
        stage += 1
    return f"blocks.{stage}.{number}.{(EXPANDED if stage else PLAIN)[found[2]]}.{found[3]}"


def features(layers: Sequence[str]) -> dict[str, npt.NDArray[np.generic]]:
    """Two solar cells at the usual size, and each layer of them ``(2, h, w, C)`` as kizu's graph computes it."""
    cells = [images.read_image(sample.path) for sample in (_solar.good_cells(1) + _solar.defective_cells()[:1])]
    batch = np.stack([images.resize(cell, (_solar.SIDE, _solar.SIDE)) for cell in cells])
    found: dict[str, npt.NDArray[np.generic]] = {"images": batch}
    for layer in layers:
        graph = backbones.embedding_graph(backbones.get(_solar.BACKBONE), [layer], _solar.SIDE, patch_size=1)
        found[layer] = backbones.OnnxRuntimeEngine(graph).embed(batch)
    return found
