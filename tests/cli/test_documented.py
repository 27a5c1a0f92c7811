"""Every public name says what it is."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

import kizu

LEFT_OUT = {"kizu.__main__"}  # which runs
if find_spec("torch") is None:
    LEFT_OUT.add("kizu.backbones.foreign._torch_export")


def modules() -> Iterator[Any]:
    yield kizu
    for found in pkgutil.walk_packages(kizu.__path__, "kizu."):
        if found.name not in LEFT_OUT:
            yield importlib.import_module(found.name)


def said_of(thing: Any) -> str:
    """Its docstring; that which dataclasses make of the fields does not count."""
    text = thing.__doc__ or ""
    return "" if text.startswith(f"{thing.__name__}(") else text


MODULES = list(modules())
PUBLIC = {
    f"{module.__name__}.{name}": thing
    for module in MODULES
    for name, thing in vars(module).items()
    if (inspect.isclass(thing) or inspect.isfunction(thing))
    and thing.__module__ == module.__name__
    and not name.startswith("_")
}


def test_there_is_something_to_look_at() -> None:
    assert len(MODULES) > 50
    assert "kizu.workflows._fit.fit" in PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_functions_and_classes_are_documented(name: str) -> None:
    assert said_of(PUBLIC[name]).strip()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_modules_are_documented(module: Any) -> None:
    assert (module.__doc__ or "").strip() or module.__name__ == "kizu._version"


@pytest.mark.parametrize("name", kizu.__all__)
def test_what_kizu_offers_is_there_and_documented(name: str) -> None:
    thing = getattr(kizu, name)
    assert isinstance(thing, str) or said_of(thing).strip()


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'kizu' has no attribute 'fits'"):
        _ = kizu.fits  # type: ignore[attr-defined]


@pytest.mark.parametrize("module", [m for m in MODULES if hasattr(m, "__all__")], ids=lambda module: module.__name__)
def test_what_a_package_lists_is_there(module: Any) -> None:
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert len(set(module.__all__)) == len(module.__all__)
