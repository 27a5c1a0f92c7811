"""ResNets against torchvision itself, with the files that PyTorch writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from backbones import resnets
from backbones.test_resnet import NAMES, run_maps
from golden.make_resnet_golden import maps, oracle
from kizu.backbones import get
from kizu.errors import BackboneError


def saved(state: Any, path: Path, *, modern: bool = True) -> Path:
    torch.save(state, path, _use_new_zipfile_serialization=modern)
    return path


@pytest.fixture(scope="module")
def net18() -> Any:
    return oracle("resnet18")


def same_maps(model: Any, name: str, path: Path, size: int) -> None:
    found = run_maps(get(name, weights=str(path)), resnets.images(size))
    for layer, expected in maps(model, resnets.images(size)).items():
        np.testing.assert_allclose(found[layer], expected, rtol=0, atol=1e-4 * np.abs(expected).max(), err_msg=layer)


@pytest.mark.parametrize("name", NAMES)
def test_maps_equal_torchvisions(name: str, tmp_path: Path) -> None:
    model = oracle(name)
    same_maps(model, name, saved(model.state_dict(), tmp_path / "net.pth"), 64)


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("size", [75, 96])
def test_both_formats(net18: Any, tmp_path: Path, modern: bool, size: int) -> None:
    same_maps(net18, "resnet18", saved(net18.state_dict(), tmp_path / "net.pth", modern=modern), size)


@pytest.mark.parametrize("modern", [True, False])
def test_half_precision(tmp_path: Path, modern: bool) -> None:
    """As wide_resnet50_2 is published."""
    model = oracle("resnet18").half()
    path = saved(model.state_dict(), tmp_path / "net.pth", modern=modern)
    same_maps(model.float(), "resnet18", path, 64)


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("form", ["parameters", "wrapped", "data parallel", "without counters", "channels last"])
def test_forms_people_save(net18: Any, tmp_path: Path, form: str, modern: bool) -> None:
    state = net18.state_dict()
    given = {
        "parameters": {k: torch.nn.Parameter(v, requires_grad=v.is_floating_point()) for k, v in state.items()},
        "wrapped": {"state_dict": state},
        "data parallel": {f"module.{key}": value for key, value in state.items()},
        "without counters": {k: v for k, v in state.items() if not k.startswith("fc.") and "tracked" not in k},
        "channels last": {
            k: v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v for k, v in state.items()
        },
    }[form]
    same_maps(net18, "resnet18", saved(given, tmp_path / "net.pth", modern=modern), 64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_safetensors(tmp_path: Path, dtype: torch.dtype) -> None:
    model = oracle("resnet18").to(dtype)
    save_file(model.state_dict(), tmp_path / "net.safetensors", metadata={"format": "pt"})
    same_maps(model.float(), "resnet18", tmp_path / "net.safetensors", 64)


def test_a_checkpoint_with_more_than_tensors(net18: Any, tmp_path: Path) -> None:
    path = saved({"epoch": 3, "state_dict": net18.state_dict()}, tmp_path / "net.pth")
    with pytest.raises(
        BackboneError, match=r"net\.pth: refused: 'epoch' holds a int, not a tensor\. Save the weights"
    ):
        get("resnet18", weights=str(path)).build(["layer1"], 64)


def test_a_whole_model_is_refused_by_name(net18: Any, tmp_path: Path) -> None:
    path = saved(net18, tmp_path / "net.pth")
    with pytest.raises(
        BackboneError, match=r"refused: the checkpoint wants to run 'torchvision\.models\.resnet\.ResNet"
    ):
        get("resnet18", weights=str(path)).build(["layer1"], 64)
