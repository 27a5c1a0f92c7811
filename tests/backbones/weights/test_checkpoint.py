"""The restricted reader: reads what PyTorch writes, refuses all else, crashes on nothing."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kizu.backbones.weights import _checkpoint
from kizu.errors import BackboneError

GOLDEN = Path(__file__).parents[2] / "golden"
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
VALUES = np.arange(6, dtype="<f4")


def push(value: object) -> bytes:
    """The pickle operations that make a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def tuple_(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def storage(numel: int = 6, key: str = "0") -> bytes:
    return tuple_(push("storage"), b"ctorch\nFloatStorage\n", push(key), push("cpu"), push(numel), b"N") + b"Q"


def tensor(
    size: tuple[int, ...] = (2, 3), stride: tuple[int, ...] = (3, 1), offset: int = 0, numel: int = 6
) -> bytes:
    """The pickle operations with which PyTorch writes a float tensor."""
    hooks = b"ccollections\nOrderedDict\n)R"
    rest = (push(offset), push(size), push(stride), b"\x89", hooks)
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + tuple_(storage(numel), *rest) + b"R"


def content(value: bytes, key: str = "w") -> bytes:
    """An OrderedDict with one item and, as ``state_dict`` has it, an attribute ``_metadata``."""
    return b"ccollections\nOrderedDict\n)R" + push(key) + value + b"s" + push({"_metadata": {}}) + b"b."


def legacy(
    body: bytes,
    *,
    magic: bytes = b"",
    keys: bytes = b"",
    values: np.ndarray = VALUES,
    system: object = SYSTEM,
) -> bytes:
    head = (magic or pickle.dumps(_checkpoint.MAGIC, 2)) + pickle.dumps(1001, 2) + pickle.dumps(system, 2)
    tail = (keys or pickle.dumps(["0"], 2)) + len(values).to_bytes(8, "little") + values.tobytes()
    return head + body + tail


def zipped(body: bytes, values: np.ndarray = VALUES, method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("net/data.pkl", body)
        archive.writestr("net/byteorder", "little")
        archive.writestr("net/data/0", values.tobytes())
    return file.getvalue()


@pytest.mark.parametrize("name", ["checkpoint_legacy.pth", "checkpoint_zip.pth"])
def test_reads_what_pytorch_writes(name: str) -> None:
    found = _checkpoint.load((GOLDEN / name).read_bytes(), name)
    expected = np.load(GOLDEN / "checkpoint.npz")
    assert list(found) == list(expected)
    for key, value in found.items():
        np.testing.assert_array_equal(value, expected[key], strict=True)
        assert value.flags.c_contiguous
        assert value.base is None


@pytest.mark.parametrize("write", [legacy, zipped])
def test_strides_and_offset(write) -> None:
    found = _checkpoint.load(write(content(tensor((2, 2), (1, 2), offset=1))), "net.pth")
    np.testing.assert_array_equal(found["w"], [[1, 3], [2, 4]])


@pytest.mark.parametrize("name", ["checkpoint_legacy.pth", "checkpoint_zip.pth"])
@settings(max_examples=60, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_truncated(name: str, share: float) -> None:
    data = (GOLDEN / name).read_bytes()
    with pytest.raises(BackboneError, match=r"net\.pth: not a readable PyTorch checkpoint, or a damaged one"):
        _checkpoint.load(data[: int(share * len(data))], "net.pth")


@pytest.mark.parametrize("name", ["checkpoint_legacy.pth", "checkpoint_zip.pth"])
@settings(max_examples=100, deadline=None)
@given(position=st.integers(0, 10**6), value=st.integers(0, 255))
def test_an_altered_byte_gives_arrays_or_our_error(name: str, position: int, value: int) -> None:
    data = bytearray((GOLDEN / name).read_bytes())
    data[position % len(data)] = value
    try:
        found = _checkpoint.load(bytes(data), name)
    except BackboneError:
        return
    assert all(isinstance(array, np.ndarray) for array in found.values())


@pytest.mark.parametrize(
    "bad",
    [
        tensor((2, 4), (3, 1)),  # too long a row
        tensor((2, 3), (4, 1)),  # too wide a stride
        tensor((2, 3), (3, 1), offset=1),
        tensor((10**12,), (0,)),  # expanded: a terabyte from nothing
        tensor((7,), (0,)),
        tensor((2**62, 4), (2**62, 2**62)),  # products that overflow 64 bits
    ],
)
@pytest.mark.parametrize("write", [legacy, zipped])
def test_outside_its_storage(write, bad: bytes) -> None:
    with pytest.raises(BackboneError, match=r"net\.pth: .* reaches outside its storage of 6 values\)\. Download"):
        _checkpoint.load(write(content(bad)), "net.pth")


def parameter(value: bytes) -> bytes:
    """The pickle operations with which PyTorch writes a parameter: a tensor marked as one to train."""
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_parameter\n" + tuple_(value, b"\x88", hooks) + b"R"


@pytest.mark.parametrize("write", [legacy, zipped])
def test_a_parameter_is_its_tensor(write) -> None:
    found = _checkpoint.load(write(content(parameter(tensor()))), "net.pth")
    np.testing.assert_array_equal(found["w"], VALUES.reshape(2, 3))
    with pytest.raises(BackboneError, match=r"net\.pth: not a readable .*a parameter without a tensor"):
        _checkpoint.load(write(content(parameter(push("no tensor")))), "net.pth")


def wrapped(*more: bytes) -> bytes:
    """A dictionary that holds the tensors' one under ``state_dict``."""
    return b"}" + push("state_dict") + content(tensor())[:-1] + b"s" + b"".join(more) + b"."


@pytest.mark.parametrize("write", [legacy, zipped])
def test_tensors_under_state_dict_alone(write) -> None:
    found = _checkpoint.load(write(wrapped()), "net.pth")
    np.testing.assert_array_equal(found["w"], VALUES.reshape(2, 3))
    with pytest.raises(
        BackboneError, match=r"refused: 'state_dict' holds a OrderedDict, not a tensor\. Save the weig"
    ):
        _checkpoint.load(write(wrapped(push("epoch") + push(3) + b"s")), "net.pth")


def test_a_whole_model_is_refused_by_its_class() -> None:
    whole = b"ctorchvision.models.resnet\nResNet\n)\x81."  # NEWOBJ
    with pytest.raises(
        BackboneError, match=r"wants to run 'torchvision\.models\.resnet\.ResNet'.*state_dict\(\), path"
    ):
        _checkpoint.load(zipped(whole), "net.pth")


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (tensor(offset=-1), "wrong offset"),
        (tensor((2, 3), (-3, 1), offset=3), "negative or non-integer"),
        (tensor((-2, 3), (3, 1)), "negative or non-integer"),
        (tensor((2, 3), (3,)), "do not belong together"),
        (tensor((1, 1), (2**70, 1)), "(Value|Overflow)Error"),  # strides that do not fit
        (tensor((1,) * 70, (1,) * 70), "ValueError"),  # more dimensions than NumPy has
        (tensor(numel=7), "of another size"),
        (tensor(numel=2**62), "of another size"),
        (tensor(numel=-6), "unknown kind of storage"),
    ],
)
@pytest.mark.parametrize("write", [legacy, zipped])
def test_inconsistent_tensors(write, bad: bytes, problem: str) -> None:
    with pytest.raises(BackboneError, match=f"not a readable PyTorch checkpoint.*{problem}"):
        _checkpoint.load(write(content(bad)), "net.pth")


def command(path: Path) -> bytes:
    """A pickle that makes a file when it is loaded by an ordinary unpickler."""
    return b"cos\nsystem\n" + tuple_(push(f"touch '{path}'")) + b"R"


class Command:
    """Pickled, the same in Python's own words."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return os.system, (f"touch '{self.path}'",)


def test_the_command_would_run(tmp_path: Path) -> None:
    pickle.loads(command(tmp_path / "ran") + b".")
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("place", ["magic", "value", "instead", "keys", "zip", "modern"])
def test_a_command_is_refused_and_not_run(place: str, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    data = {
        "magic": legacy(content(tensor()), magic=command(ran) + b"."),
        "value": legacy(content(command(ran))),
        "instead": legacy(command(ran) + b"."),
        "keys": legacy(content(tensor()), keys=command(ran) + b"."),
        "zip": zipped(content(command(ran))),
        "modern": pickle.dumps(Command(ran)),
    }[place]
    with pytest.raises(
        BackboneError, match=r"net\.pth: refused: the checkpoint wants to run '(os|posix|nt)\.system'; "
    ):
        _checkpoint.load(data, "net.pth")
    assert not ran.exists()


@pytest.mark.parametrize(
    "name",
    [
        "builtins\neval",
        "torch\nload",
        "torch._utils\n_rebuild_parameter_with_state",
        "collections\nCounter",
        "torch\nstorage",
    ],
)
def test_every_other_global_is_refused(name: str) -> None:
    body = content(b"c" + name.encode() + b"\n")
    with pytest.raises(BackboneError, match="refused: the checkpoint wants to run"):
        _checkpoint.load(legacy(body), "net.pth")


@pytest.mark.parametrize(
    "value",
    [
        tensor() + push({"offset": -100}) + b"b",  # BUILD: a state for the tensor
        tensor() + push((None, {"size": 9})) + b"b",
        b"ctorch._utils\n_rebuild_tensor_v2\n" + push({"x": 1}) + b"b",  # and for its maker
        b"ctorch\nFloatStorage\n)R",  # a storage type called
        push(7) + b"Q",  # a persistent id that is no tuple
    ],
)
def test_nothing_can_be_altered_or_called(value: bytes) -> None:
    with pytest.raises(BackboneError):
        _checkpoint.load(legacy(content(value)), "net.pth")


@pytest.mark.parametrize(
    "operations",
    [
        b"r\xff\xff\xff\x7f",  # a memo number: two thousand million places for one value
        b"\x96" + (4).to_bytes(8, "little") + b"abcd",  # a byte array, taken before it is read
        b"\x82\x01",  # the registry of extensions
    ],
)
def test_greedy_operations_are_refused_before_they_run(operations: bytes) -> None:
    with pytest.raises(BackboneError, match=r"pickle operation|memo number"):
        _checkpoint.load(legacy(content(tensor() + operations)), "net.pth")


def test_attributes_on_the_dictionary_change_nothing() -> None:
    body = content(tensor()).removesuffix(b".") + push({"items": 1, "keys": 1}) + b"b."
    assert list(_checkpoint.load(legacy(body), "net.pth")) == ["w"]


@pytest.mark.parametrize("value", [push(7), push("text"), push({}), storage()])
def test_only_tensors(value: bytes) -> None:
    with pytest.raises(BackboneError, match=r"refused: 'w' holds a \w+, not a tensor"):
        _checkpoint.load(legacy(content(value)), "net.pth")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        b"no checkpoint at all",
        pickle.dumps({"w": [1.0]}),
        legacy(content(tensor()), magic=pickle.dumps(7)),
        legacy(content(tensor()), system={"little_endian": False}),
        legacy(b"]."),
        legacy(content(tensor()), keys=pickle.dumps(["1"])),
        legacy(content(tensor()), keys=pickle.dumps([])),
        zipped(content(tensor()), method=zipfile.ZIP_DEFLATED),
        zipped(content(tensor()), VALUES[:5]),
        zipped(b"]."),
    ],
)
def test_not_a_checkpoint(data: bytes) -> None:
    with pytest.raises(BackboneError, match="not a readable PyTorch checkpoint"):
        _checkpoint.load(data, "net.pth")
