"""What several suites share: one small data set, and one model of each detector fitted on it."""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path

import pytest

_INSTALLED = {distribution.name.lower() for distribution in distributions()}

# What compares with PyTorch runs where that is installed. The folder is not called `torch`: tests/ is on the path,
# and an empty package of that name would be found where the real one is missing.
collect_ignore = [] if {"torch", "torchvision", "timm"} <= _INSTALLED else ["with_torch"]


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only: 30 sound and 6 scratched tiles with masks, as ``good/ bad/ mask/``."""
    from workflows.tiles import good_bad

    return good_bad(tmp_path_factory.mktemp("data") / "部品")


@pytest.fixture(scope="session")
def model(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only: a PatchCore model of `parts`."""
    import kizu
    from workflows.tiles import SMALL

    path = tmp_path_factory.mktemp("model") / "部品.kizu"
    kizu.fit(parts, **SMALL).save(path)
    return path


@pytest.fixture(scope="session")
def padim_model(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only: a PaDiM model of `parts`."""
    import kizu
    from workflows.tiles import SMALL

    path = tmp_path_factory.mktemp("model") / "padim.kizu"
    kizu.fit(parts, **SMALL, detector={"name": "padim", "reduced_dims": 10}).save(path)
    return path


@pytest.fixture(params=["patchcore", "padim"])
def each_model(request: pytest.FixtureRequest) -> Path:
    """Read only: a model, of each detector in turn."""
    path: Path = request.getfixturevalue({"patchcore": "model", "padim": "padim_model"}[request.param])
    return path
