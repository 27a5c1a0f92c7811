"""A model file that is not whole, not ours or not harmless is refused in one line, and nothing in it is run."""

from __future__ import annotations

import gc
import io
import json
import mmap
import os
import pickle
import shutil
import struct
import tracemalloc
import warnings
import weakref
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kizu
from inspector.archives import packed, rewritten, unpacked
from kizu.errors import ImageError, ModelFileError
from kizu.inspector import _model_file, identity
from kizu.report import encode_image
from workflows.tiles import tile


def refused(path: Path) -> str:
    """The one line that loading it gives."""
    with pytest.raises(ModelFileError) as caught:
        kizu.load(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    return said


def loaded_or_refused(path: Path) -> kizu.Inspector | None:
    """The inspector in it, or None when it was refused as it should be."""
    try:
        return kizu.load(path)
    except ModelFileError as error:
        said = str(error)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    return None


def npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def test_nothing_but_json_onnx_and_plain_arrays(each_model: Path) -> None:
    with zipfile.ZipFile(each_model) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    entries = unpacked(each_model)
    manifest = json.loads(entries.pop("manifest.json"))
    assert manifest["schema"] == 4
    assert manifest["kizu"] == kizu.__version__
    assert entries.pop("backbone.onnx")
    assert set(manifest["entries"]) == {"backbone.onnx", *entries}
    images = [entries.pop(f"check/{number}.png") for number in range(3)]
    assert all(data.startswith(b"\x89PNG") for data in images)
    for name, data in entries.items():
        assert name.startswith("detector/")
        assert np.load(io.BytesIO(data), allow_pickle=False).dtype.kind in "iuf"


def test_arrays_are_written_as_numpy_writes_them(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "a.kizu"
    arrays = {
        "plain": rng.standard_normal((5, 3), dtype=np.float32),
        "columns first": np.asfortranarray(rng.standard_normal((5, 3))),
        "gaps": np.arange(100)[::3],
        "empty": np.empty((0, 3)),
        "one number": np.array(7),
        "another byte order": np.arange(4, dtype=">i4"),
    }
    _model_file.write(path, {}, b"graph", arrays)
    entries = unpacked(path)
    assert {name: entries[f"detector/{name}.npy"] for name in arrays} == {
        name: npy(np.ascontiguousarray(array) if array.ndim else array) for name, array in arrays.items()
    }
    with pytest.raises(ValueError, match="arrays of Python objects are not written"):
        _model_file.write(path, {}, b"graph", {"objects": np.array([None])})


def test_writing_takes_no_copy_of_arrays(tmp_path: Path) -> None:
    arrays = {name: np.ones((1000, 250), np.float32) for name in "abc"}
    tracemalloc.start()
    try:
        _model_file.write(tmp_path / "a.kizu", {}, b"graph", arrays)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200_000
    assert (tmp_path / "a.kizu").stat().st_size > 3_000_000


def test_cut_short_anywhere(model: Path, tmp_path: Path) -> None:
    data, path = model.read_bytes(), tmp_path / "a.kizu"
    lengths = {
        *range(0, 40),
        *np.linspace(0, len(data) - 1, 60, dtype=int).tolist(),
        *range(len(data) - 40, len(data)),
    }
    for length in sorted(lengths):
        path.write_bytes(data[:length])
        assert "truncated or damaged" in refused(path)


def positions(data: bytes, densely: bool) -> list[int]:
    """Where to alter: all over the file; ``densely`` also wherever the zip keeps records of its own."""
    spread = np.random.default_rng(0).integers(0, len(data), 50).tolist()
    start = data.index(b"PK\1\2")
    records = [*range(43), *range(start, start + 60), *range(len(data) - 60, len(data))]
    return sorted({*spread, *(records if densely else ())})


def test_an_altered_byte_is_refused_or_changes_nothing(each_model: Path, tmp_path: Path) -> None:
    data, path = each_model.read_bytes(), tmp_path / "a.kizu"
    expected = kizu.load(each_model).predict(tile(0))
    harmless = []
    for at in positions(data, densely=each_model.name == "部品.kizu"):
        path.write_bytes(data[:at] + bytes([data[at] ^ (0x01, 0x08, 0xFF)[at % 3]]) + data[at + 1 :])
        inspector = loaded_or_refused(path)
        if inspector is None:
            continue
        harmless.append(at)
        found = inspector.predict(tile(0))
        assert found.anomaly_map.tobytes() == expected.anomaly_map.tobytes(), at
        assert (found.score, found.threshold) == (expected.score, expected.threshold), at
    assert all(at < 43 or at >= data.index(b"PK\1\2") for at in harmless), "what entries hold always matters"


@pytest.mark.parametrize("entry", ["manifest.json", "backbone.onnx", "detector/bank.npy"])
def test_an_altered_entry_whose_zip_checksum_was_mended(model: Path, tmp_path: Path, entry: str) -> None:
    entries = unpacked(model)
    data = bytearray(entries[entry])
    data[-2] ^= 0x01
    said = refused(packed(tmp_path / "a.kizu", list({**entries, entry: bytes(data)}.items())))
    if entry == "manifest.json":
        assert "manifest.json is not readable" in said
    else:
        assert f"{entry} was altered (its checksum differs). Restore the file or fit again." in said


@pytest.mark.parametrize(
    "name",
    [
        "../evil.npy",
        "detector/../../evil.npy",
        "detector/../evil.npy",
        "/etc/evil.npy",
        "C:\\evil.npy",
        "detector\\evil.npy",
        "detector/a/b.npy",
        "detector/evil.pkl",
        "evil.py",
        "detector/",
        "check/",
        "check/a.png",
        "check/0.png.exe",
        "check/../0.png",
        "check/٣.png",
        "check/0.npy",
    ],
)
def test_names_that_lead_elsewhere(model: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "inside").mkdir()
    path = tmp_path / "inside" / "a.kizu"
    packed(path, [*unpacked(model).items(), (name, b"x")])
    assert "unsafe entry" in refused(path)
    rewritten(model, path, {name: b"x"})
    assert "unsafe entry" in refused(path)
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "inside", path]


def test_entries_missing_added_or_doubled(model: Path, tmp_path: Path) -> None:
    entries, path = unpacked(model), tmp_path / "a.kizu"
    for missing in entries:
        packed(path, [(name, data) for name, data in entries.items() if name != missing])
        assert (
            "no usable manifest.json" if missing == "manifest.json" else "missing, added or doubled" in refused(path)
        )
    packed(path, [*entries.items(), ("detector/more.npy", b"")])
    assert "entries are missing, added or doubled" in refused(path)
    for doubled in entries:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            packed(path, [*entries.items(), (doubled, entries[doubled])])
        assert "entries are missing, added or doubled" in refused(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_compressed_entries(model: Path, tmp_path: Path, compression: int) -> None:
    assert "an entry is compressed" in refused(packed(tmp_path / "a", list(unpacked(model).items()), compression))


@pytest.mark.parametrize("method", [8, 12, 14, 99])
def test_entries_that_say_they_are_compressed(model: Path, tmp_path: Path, method: int) -> None:
    data, path = bytearray(model.read_bytes()), tmp_path / "a.kizu"
    struct.pack_into("<H", data, data.index(b"PK\1\2") + 10, method)
    path.write_bytes(data)
    assert "an entry is compressed" in refused(path)


def test_sizes_beyond_the_file_take_no_memory(model: Path, tmp_path: Path) -> None:
    data, path = bytearray(model.read_bytes()), tmp_path / "a.kizu"
    struct.pack_into("<II", data, data.index(b"PK\1\2") + 20, 0xFFFFFFF0, 0xFFFFFFF0)
    path.write_bytes(data)
    assert "an entry does not fit into the file" in refused(path)


def test_of_a_newer_kizu(model: Path, tmp_path: Path) -> None:
    path = rewritten(model, tmp_path / "a.kizu", {}, lambda manifest: manifest.update(schema=6))
    assert "written by a newer kizu (schema 6, this one reads up to 5). Update with" in refused(path)


def test_of_an_older_kizu(model: Path, tmp_path: Path) -> None:
    """Schema 1 held no images to check exports with, 2 no decision and no owners of bank rows; settings that are new
    since have their defaults.
    """

    def older(manifest: dict[str, Any]) -> None:
        manifest.update(schema=1)
        for new in ("check_images", "precision", "engine", "resize", "calibration", "folds", "review_budget"):
            del manifest["config"][new]
        known = manifest["calibration"]
        manifest["calibration"] = {"scores": known["scores"], "peaks": known["peaks"], "false_alarms": 0.2}

    gone = [f"check/{number}.png" for number in range(3)] + ["detector/owners.npy"]
    path = rewritten(model, tmp_path / "a.kizu", dict.fromkeys(gone), older)
    old, new = kizu.load(path), kizu.load(model)
    assert (old.check_files, len(new.check_files)) == ((), 3)
    assert old.calibration is not None
    assert new.calibration is not None
    assert old.calibration.threshold == old.calibration.review_threshold == new.calibration.threshold
    assert old.predict(tile(1)).anomaly_map.tobytes() == new.predict(tile(1)).anomaly_map.tobytes()


def test_check_images_keep_their_order_beyond_ten(model: Path, tmp_path: Path) -> None:
    inspector = kizu.load(model)
    files = tuple(encode_image(tile(number), ".png") for number in range(12))
    replace(inspector, check_files=files).save(tmp_path / "a.kizu")
    again = kizu.load(tmp_path / "a.kizu")
    assert again.check_files == files
    np.testing.assert_array_equal(again.check_images[11], tile(11))


def test_a_damaged_check_image_matters_only_when_it_is_looked_at(model: Path, tmp_path: Path) -> None:
    damaged = kizu.load(rewritten(model, tmp_path / "a.kizu", {"check/1.png": b"no image"}))
    assert damaged.predict(tile(1)).score == kizu.load(model).predict(tile(1)).score
    with pytest.raises(ImageError, match=r"check/1\.png: "):
        _ = damaged.check_images


@pytest.mark.parametrize("schema", [0, -1, True, "1", 1.0, None])
def test_of_no_schema(model: Path, tmp_path: Path, schema: object) -> None:
    path = rewritten(model, tmp_path / "a.kizu", {}, lambda manifest: manifest.update(schema=schema))
    assert "manifest.json has no schema number" in refused(path)


PARTS = ("config", "detector", "calibration", "provenance", "entries", "schema")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("value", [None, 9, "x", [1], {"x": 1}, {"name": ["x"]}, {"name": 5, "parameters": {}}])
def test_a_manifest_of_something_else(model: Path, tmp_path: Path, part: str, value: object) -> None:
    path = rewritten(model, tmp_path / "a.kizu", {}, lambda manifest: manifest.update({part: value}))
    if part == "provenance" and isinstance(value, dict):  # for people only: nothing hangs on it
        assert kizu.load(path).provenance == value
    else:
        refused(path)


@pytest.mark.parametrize("part", PARTS)
def test_a_manifest_that_lacks_something(model: Path, tmp_path: Path, part: str) -> None:
    refused(rewritten(model, tmp_path / "a.kizu", {}, lambda manifest: manifest.pop(part)))


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"5", b"null", b"{", b"\xff", b"{}", b'{"schema": 1}', b"[" * 100_000, b"9" * 5000]
)
def test_a_manifest_that_is_none(model: Path, tmp_path: Path, text: bytes) -> None:
    entries = {**unpacked(model), "manifest.json": text}
    refused(packed(tmp_path / "a.kizu", list(entries.items())))


@pytest.mark.parametrize(
    ("detector", "said"),
    [
        ({"name": "patchcor"}, "Did you mean 'patchcore'"),
        ({"name": "padim"}, "unknown parameter of padim"),
        ({"parameters": {"coreset": 1}}, "unknown parameter of patchcore 'coreset'"),
        ({"parameters": {"neighbors": 0}}, "`neighbors` must be"),
    ],
)
def test_a_detector_that_cannot_be(model: Path, tmp_path: Path, detector: dict[str, Any], said: str) -> None:
    path = rewritten(model, tmp_path / "a.kizu", {}, lambda manifest: manifest["detector"].update(detector))
    assert said in refused(path)


class Fires:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_no_pickle_is_run(model: Path, tmp_path: Path) -> None:
    mark, path = tmp_path / "fired", tmp_path / "a.kizu"
    loaded = pickle.dumps(Fires(mark))
    objects = npy(np.array([Fires(mark)], dtype=object), allow_pickle=True)
    archive = io.BytesIO()
    np.savez(archive, x=np.zeros(3))
    for data in (objects, loaded, archive.getvalue()):
        for name in ("detector/bank.npy", "detector/extra.npy"):
            rewritten(model, path, {name: data})
            assert name in refused(path)
    rewritten(model, path, {"manifest.json": None} | {"manifest.json": unpacked(model)["manifest.json"]})
    for name in ("manifest.json", "backbone.onnx"):
        refused(packed(path, list({**unpacked(model), name: loaded}.items())))
    assert not mark.exists()
    pickle.loads(loaded)
    assert mark.exists(), "the pickle does leave its mark where pickles are run"


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 368), np.float32), np.zeros(5, np.float32), np.zeros((3, 368)), np.zeros((3, 368), "U3")],
    ids=["empty", "one-dimensional", "float64", "text"],
)
def test_arrays_of_another_form(model: Path, tmp_path: Path, array: np.ndarray) -> None:
    assert "memory bank" in refused(rewritten(model, tmp_path / "a.kizu", {"detector/bank.npy": npy(array)}))


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x05\x00{'des", b"PK\3\4", b"x" * 100])
def test_arrays_that_are_none(model: Path, tmp_path: Path, data: bytes) -> None:
    assert "detector/bank.npy" in refused(rewritten(model, tmp_path / "a.kizu", {"detector/bank.npy": data}))


def test_arrays_that_are_missing(each_model: Path, tmp_path: Path) -> None:
    """What models of older schemas lack is not needed to score."""
    spared = {f"detector/{name}.npy" for name in ("accuracy", "owners", "count", "patches")}
    needed = [name for name in unpacked(each_model) if name.startswith("detector/") and name not in spared]
    assert len(needed) >= 2
    for name in needed:
        assert "is incomplete" in refused(rewritten(each_model, tmp_path / "a.kizu", {name: None}))


def test_what_is_no_model_at_all(model: Path, tmp_path: Path) -> None:
    assert "no such model file. Check the path, or make one with `kizu fit`." in refused(tmp_path / "無い.kizu")
    assert "is a folder, not a model file" in refused(tmp_path)
    (tmp_path / "empty.kizu").touch()
    assert "truncated or damaged" in refused(tmp_path / "empty.kizu")
    assert "not a kizu model file" in refused(packed(tmp_path / "z.zip", [("a.txt", b"hello")]))
    shutil.make_archive(str(tmp_path / "empty"), "zip", (tmp_path / "nothing").mkdir() or tmp_path / "nothing")
    assert "not a kizu model file" in refused(tmp_path / "empty.zip")
    assert "cannot be read" in refused(model / "inside")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders")
@pytest.mark.parametrize("how", ["pipe", "device"])
def test_what_is_no_ordinary_file_is_not_waited_for(tmp_path: Path, how: str) -> None:
    path = tmp_path / "部品.kizu"
    if how == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/null")
    for use in (kizu.load, identity):
        with pytest.raises(ModelFileError, match=r"部品\.kizu: is not an ordinary file\. Give the path of a \.kizu"):
            use(path)


@settings(deadline=None, max_examples=80)
@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\3\4", b"PK\5\6" + bytes(18)]), st.data())
def test_rubbish_is_refused(
    tmp_path_factory: pytest.TempPathFactory, model: Path, data: bytes, end: bytes, draw: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "rubbish.kizu"
    path.write_bytes(data + end)
    refused(path)
    directory = bytearray(model.read_bytes())
    start = directory.index(b"PK\1\2")
    for _ in range(draw.draw(st.integers(1, 6))):
        directory[draw.draw(st.integers(start, len(directory) - 1))] = draw.draw(st.integers(0, 255))
    path.write_bytes(directory)
    loaded_or_refused(path)


def scores(inspector: kizu.Inspector) -> list[tuple[float, bytes]]:
    found = [inspector.predict(tile(number)) for number in (0, 3, 9)]
    return [(one.score, one.anomaly_map.tobytes()) for one in found]


def base_of(array: np.ndarray) -> object:
    while isinstance(array, np.ndarray):
        array = array.base
    return array.obj if isinstance(array, memoryview) else array


def test_entries_start_where_arrays_can_be_used_in_place(each_model: Path) -> None:
    data = each_model.read_bytes()
    with zipfile.ZipFile(each_model) as archive:
        for entry in archive.infolist():
            assert data.index(archive.read(entry), entry.header_offset) % 64 == 0


def test_mapped_scores_the_same(each_model: Path) -> None:
    assert scores(kizu.load(each_model, mapped=True)) == scores(kizu.load(each_model))


def test_mapped_leaves_the_bank_in_the_file(model: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(model, tmp_path / "a.kizu"))
    assert isinstance(base_of(kizu.load(path, mapped=True).detector.bank_), mmap.mmap)
    assert isinstance(base_of(kizu.load(path).detector.bank_), bytes)


def test_mapped_reads_entries_into_memory_that_an_older_kizu_wrote(model: Path, tmp_path: Path) -> None:
    """Those start anywhere."""
    path = packed(tmp_path / "a.kizu", list(unpacked(model).items()))
    inspector = kizu.load(path, mapped=True)
    assert inspector.detector.bank_.flags.aligned
    assert scores(inspector) == scores(kizu.load(model))


def test_a_mapped_model_can_be_replaced(model: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(model, tmp_path / "a.kizu"))
    inspector = kizu.load(path, mapped=True)
    expected = scores(kizu.load(model))
    if os.name == "nt":
        with pytest.raises(kizu.errors.OutputError):
            inspector.save(path)
        return
    inspector.save(path)
    assert path.read_bytes() == model.read_bytes()
    assert scores(inspector) == expected
    path.unlink()
    assert scores(inspector) == expected


def test_a_model_read_into_memory_does_not_care_what_becomes_of_the_file(model: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(model, tmp_path / "a.kizu"))
    inspector = kizu.load(path)
    path.write_bytes(b"")
    assert scores(inspector) == scores(kizu.load(model))


@pytest.mark.parametrize("entry", ["manifest.json", "backbone.onnx", "detector/bank.npy"])
def test_mapped_is_verified_too(model: Path, tmp_path: Path, entry: str) -> None:
    entries = unpacked(model)
    data = bytearray(entries[entry])
    data[-2] ^= 0x01
    path = packed(tmp_path / "a.kizu", list({**entries, entry: bytes(data)}.items()))
    kept = kizu.load(model)  # its graph is known, and that of the file must be looked at even so
    with pytest.raises(ModelFileError, match=r"was altered|is not readable"):
        kizu.load(path, mapped=True)
    del kept


def test_mapped_cut_short_anywhere(model: Path, tmp_path: Path) -> None:
    data, path = model.read_bytes(), tmp_path / "a.kizu"
    for length in [0, 1, *np.linspace(100, len(data) - 1, 25, dtype=int).tolist()]:
        path.write_bytes(data[:length])
        with pytest.raises(ModelFileError, match="truncated or damaged"):
            kizu.load(path, mapped=True)


def test_alike_models_share_one_engine(each_model: Path) -> None:
    one, other, threads = kizu.load(each_model), kizu.load(each_model), kizu.load(each_model, threads=1)
    assert one.engine is other.engine
    assert one.graph is other.graph is threads.graph
    assert one.engine is not threads.engine
    gone = weakref.ref(one.engine)
    del one, other
    gc.collect()
    assert gone() is None
