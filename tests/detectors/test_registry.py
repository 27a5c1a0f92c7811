"""Detectors by name, and those of other packages."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from kizu import detectors
from kizu.detectors import Detector, Scores, _registry
from kizu.errors import KizuWarning, ParameterError

PLUGIN = """
import numpy as np
from kizu.detectors import Detector, Scores


class Furthest(Detector):
    name = "furthest"
    min_images = 1

    def __init__(self, *, factor: float = 1.0):
        self.factor = factor

    def check(self):
        pass

    def fit(self, embeddings, *, images=None, rng=None, progress=None):
        self.mean_ = np.concatenate(list(embeddings)).mean(axis=(0, 1, 2))
        return self

    def score(self, embeddings):
        patches = self.factor * np.abs(embeddings - self.mean_).max(axis=3)
        return Scores(patches, patches.max(axis=(1, 2)))

    def state(self):
        return {"mean": self.mean_}

    def _restore(self, state):
        self.mean_ = state["mean"]

    def summary(self):
        return {}
"""


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(_registry, "_registered", dict(_registry._registered))


def install(folder: Path, module: str, source: str, entry: str) -> None:
    """Lay a package out as an installer would: a module, and metadata that announces an entry point."""
    (folder / f"{module}.py").write_text(source)
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[kizu.detectors]\n{entry}\n")


def plugin_class(wanted: str) -> type[Detector]:
    space: dict[str, type[Detector]] = {}
    exec(PLUGIN, space)
    space["Furthest"].name = wanted
    return space["Furthest"]


def test_kizus_own():
    assert {"padim", "patchcore"} <= set(detectors.names())
    assert detectors.names() == sorted(detectors.names())
    for name in ("padim", "patchcore"):
        assert detectors.detector_class(name).name == name
        assert isinstance(detectors.build(name, {}), detectors.detector_class(name))


def test_unknown_name_offers_the_nearest():
    with pytest.raises(ParameterError, match=r"unknown detector 'patchcor'\. Did you mean 'patchcore'\?.*padim"):
        detectors.detector_class("patchcor")
    with pytest.raises(ParameterError, match="unknown detector 'nothing'"):
        detectors.build("nothing", {})


def test_register():
    mine = plugin_class("mine")
    assert detectors.register(mine) is mine
    assert "mine" in detectors.names()
    assert detectors.detector_class("mine") is mine
    assert detectors.build("mine", {"factor": 2.0}).parameters() == {"factor": 2.0}


@pytest.mark.parametrize("name", ["patchcore", "padim", "mine"])
def test_a_taken_name_raises(name):
    detectors.register(plugin_class("mine"))
    before = detectors.detector_class(name)
    with pytest.raises(ParameterError, match=f"a detector named '{name}' exists already; give yours another name"):
        detectors.register(plugin_class(name))
    assert detectors.detector_class(name) is before


def test_entry_point_is_loaded_when_asked_for(tmp_path, monkeypatch):
    install(tmp_path, "kizu_test_furthest", PLUGIN, "furthest = kizu_test_furthest:Furthest")
    monkeypatch.syspath_prepend(tmp_path)
    assert "furthest" in detectors.names()
    detectors.build("padim", {})
    assert "kizu_test_furthest" not in sys.modules
    good = np.random.default_rng(0).standard_normal((4, 2, 2, 3), dtype=np.float32)
    detector = detectors.build("furthest", {"factor": 2.0}).fit([good])
    scores = detector.score(good)
    assert isinstance(scores, Scores)
    again = detectors.restore("furthest", {"factor": 2.0}, detector.state()).score(good)
    np.testing.assert_array_equal(again.patches, scores.patches)
    with pytest.raises(ParameterError, match=r"unknown parameter of furthest 'factr'\. Did you mean 'factor'"):
        detectors.build("furthest", {"factr": 1})


def test_entry_point_cannot_take_the_place_of_kizus_own(tmp_path, monkeypatch):
    install(tmp_path, "kizu_test_usurper", PLUGIN, "padim = kizu_test_usurper:Furthest")
    monkeypatch.syspath_prepend(tmp_path)
    assert detectors.detector_class("padim").__module__ == "kizu.detectors.padim"
    assert detectors.names().count("padim") == 1


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("raise RuntimeError('no luck')", r"the detector 'broken' \(.*\) cannot be loaded: no luck; mend"),
        ("", "the detector 'broken' .* cannot be loaded: .*Furthest"),
        ("Furthest = 7", ":Furthest is no detector; mend or uninstall its package"),
        ("class Furthest: pass", "is no detector"),
    ],
)
def test_broken_entry_point_is_an_error_when_asked_for(source, problem, tmp_path, monkeypatch, request):
    module = f"kizu_test_broken_{abs(hash(request.node.name))}"
    install(tmp_path, module, source, f"broken = {module}:Furthest")
    monkeypatch.syspath_prepend(tmp_path)
    assert "broken" in detectors.names()
    with pytest.raises(ParameterError, match=problem):
        detectors.build("broken", {})


def test_two_packages_with_one_name(tmp_path, monkeypatch):
    for module in ("kizu_test_first", "kizu_test_second"):
        install(tmp_path, module, PLUGIN, f"furthest = {module}:Furthest")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ParameterError, match="2 packages offer a detector named 'furthest'; uninstall all but one"):
        detectors.detector_class("furthest")


def test_a_package_cannot_take_kizus_names_in_silence(tmp_path, monkeypatch):
    install(tmp_path, "kizu_test_usurping", PLUGIN, "padim = kizu_test_usurping:Furthest")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(_registry, "_looked_at", set())
    with pytest.warns(
        KizuWarning, match=r"the detector 'padim' \(.*Furthest\) of another package was left out: kizu has"
    ):
        assert type(detectors.build("padim", {})).__module__ == "kizu.detectors.padim"
    detectors.build("padim", {})
    assert "kizu_test_usurping" not in sys.modules


@pytest.mark.parametrize(
    ("entry", "source", "words"),
    [
        (
            "nearest",
            PLUGIN,
            r"the detector 'nearest' \(.*\) calls itself 'furthest': models would ask for that\. .*mend",
        ),
        (
            "furthest",
            PLUGIN.replace("def score", "def skore").replace("def summary", "def sum"),
            r"the detector 'furthest' \(.*\) lacks score, summary; mend or uninstall its package",
        ),
        ("furthest", PLUGIN.replace('name = "furthest"', ""), r"the detector 'furthest' \(.*\) lacks name; mend"),
    ],
    ids=["another name", "abstract", "no name"],
)
def test_a_class_that_is_no_whole_detector(entry, source, words, tmp_path, monkeypatch, request):
    module = f"kizu_test_part_{abs(hash(request.node.name))}"
    install(tmp_path, module, source, f"{entry} = {module}:Furthest")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ParameterError, match=words):
        detectors.detector_class(entry)
