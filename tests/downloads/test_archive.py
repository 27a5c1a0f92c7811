"""Unpacking: all of it or nothing, and nothing outside the folder."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from downloads.test_fetch import Recorder
from kizu.downloads import unpack
from kizu.errors import DownloadError, OutputError

FILES = {"part/train/good/部品0.png": b"zero", "part/train/good/1.png": b"one" * 50_000, "readme.txt": b"read me"}
RESERVED = ("part/aux.png", "NUL", "com1/a.png", "lpt² .txt", "part./a.png", "part/a.png.", "part/a.png ")
TARS = ("tar", "tar.xz", "tar.gz", "tar.bz2")


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("part/"), b"")
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes], *others: tarfile.TarInfo) -> Path:
    mode = path.suffix.lstrip(".") if path.suffix != ".tar" else ""
    with tarfile.open(path, f"w:{mode}") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in others:
            archive.addfile(member)
    return path


def made(folder: Path, form: str, files: dict[str, bytes]) -> Path:
    return (zipped if form == "zip" else tarred)(folder / f"data.{form}", files)


def found(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out" / "品"


def nothing_left(target: Path) -> bool:
    return not target.parent.exists() or list(target.parent.iterdir()) == []


@pytest.mark.parametrize("form", ["zip", *TARS])
def test_all_of_it(tmp_path: Path, target: Path, form: str) -> None:
    progress = Recorder()
    archive = made(tmp_path, form, FILES)
    assert unpack(archive, target, progress=progress) == target
    assert found(target) == FILES
    size = archive.stat().st_size
    assert progress.stages == [(f"Unpacking data.{form}", size, "bytes")]
    assert sum(progress.steps) == size
    assert [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_renamed_and_left_out(tmp_path: Path, target: Path, form: str) -> None:
    rules = [(r"(?:.*/)?good/(.+)\.png", r"good/\1.png"), (r".*/(.+)\.png", r"bad/\1.png")]
    files = {**FILES, "part/test/cut/2.png": b"two"}
    unpack(made(tmp_path, form, files), target, rename=rules, add={"card.json": "傷"})
    assert set(found(target)) == {"good/部品0.png", "good/1.png", "bad/2.png", "card.json"}
    assert (target / "card.json").read_text(encoding="utf-8") == "傷"


def test_into_an_empty_folder(tmp_path: Path, target: Path) -> None:
    target.mkdir(parents=True)
    unpack(made(tmp_path, "zip", FILES), target)
    assert found(target) == FILES


@pytest.mark.parametrize("form", ["zip", "tar"])
@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "part/../../evil", "..\\evil", "C:\\evil", "a\x01b", *RESERVED]
)
def test_names_that_lead_out(tmp_path: Path, target: Path, form: str, name: str) -> None:
    archive = made(tmp_path, form, {**FILES, name: b"evil"})
    with pytest.raises(DownloadError, match=r"is not safe to unpack: .*Nothing was written; do not use it\."):
        unpack(archive, target)
    assert nothing_left(target)
    assert not (tmp_path / "evil").exists()


def test_names_that_lead_out_are_refused_though_no_rule_wants_them(tmp_path: Path, target: Path) -> None:
    archive = made(tmp_path, "zip", {**FILES, "../evil": b"evil"})
    with pytest.raises(DownloadError, match=r"'\.\./evil' leads out of the folder"):
        unpack(archive, target, rename=[(r"part/train/good/(.+)", r"\1")])
    assert nothing_left(target)


def test_a_rule_that_leads_out(tmp_path: Path, target: Path) -> None:
    with pytest.raises(DownloadError, match="not safe"):
        unpack(made(tmp_path, "zip", FILES), target, rename=[("(.*)", r"../\1")])
    assert nothing_left(target)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar(tmp_path: Path, target: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("part/link")
    member.type, member.linkname = kind, "../../outside"
    with pytest.raises(DownloadError, match="'part/link' is a link or a device"):
        unpack(tarred(tmp_path / "data.tar", FILES, member), target)
    assert nothing_left(target)


def test_a_link_in_a_zip(tmp_path: Path, target: Path) -> None:
    path = zipped(tmp_path / "data.zip", FILES)
    with zipfile.ZipFile(path, "a") as archive:
        member = zipfile.ZipInfo("part/link")
        member.external_attr = 0o120777 << 16
        archive.writestr(member, "/etc/passwd")
    with pytest.raises(DownloadError, match="is a link or a device"):
        unpack(path, target)
    assert nothing_left(target)


@pytest.mark.parametrize("form", ["zip", *TARS])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_cut_short(tmp_path: Path, target: Path, form: str, share: float) -> None:
    files = {str(n): os.urandom(30_000) for n in range(5)}
    path = made(tmp_path, form, files)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DownloadError, match=r"etch(ed)? it anew"):
        unpack(path, target)
    assert nothing_left(target)


@pytest.mark.parametrize("name", ["auxiliary.png", "com10.png", "a.aux", "nul-1.png", "part.1/.a", "a b .png"])
def test_names_that_only_look_reserved(tmp_path: Path, target: Path, name: str) -> None:
    unpack(made(tmp_path, "tar", {name: b"a"}), target)
    assert found(target) == {name: b"a"}


def packed(path: Path, tar: bytes) -> Path:
    opened = {".tar": open, ".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}[path.suffix]
    with opened(path, "wb") as file:
        file.write(tar)
    return path


@pytest.mark.parametrize("form", TARS)
@pytest.mark.parametrize("end", [2 * 1024, 2 * 1024 + 200, 4 * 1024])
def test_cut_between_files_or_in_a_header(tmp_path: Path, target: Path, form: str, end: int) -> None:
    """tarfile takes that for the end."""
    whole = tarred(tmp_path / "whole.tar", {str(n): b"x" * 512 for n in range(4)}).read_bytes()
    with pytest.raises(DownloadError, match=r"is damaged \(it breaks off: .*\)\. Delete it and fetch it anew\."):
        unpack(packed(tmp_path / f"data.{form}", whole[:end]), target)
    assert nothing_left(target)


@pytest.mark.parametrize("form", TARS)
def test_a_damaged_header(tmp_path: Path, target: Path, form: str) -> None:
    data = bytearray(tarred(tmp_path / "whole.tar", {str(n): b"x" * 512 for n in range(4)}).read_bytes())
    data[2 * 1024] ^= 1
    with pytest.raises(DownloadError, match="it breaks off: bad checksum"):
        unpack(packed(tmp_path / f"data.{form}", bytes(data)), target)
    assert nothing_left(target)


def test_an_archive_that_cannot_be_read(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The drive it is on is meant, not the one that is written to."""

    def read(self: object, size: int = -1) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    archive = made(tmp_path, "tar", FILES)
    monkeypatch.setattr(tarfile.ExFileObject, "read", read)
    with pytest.raises(
        DownloadError, match=r"data\.tar: cannot be read: Input/output error\. Check the path and its"
    ):
        unpack(archive, target)
    assert nothing_left(target)


def test_bz2_damaged_after_its_first_block(tmp_path: Path, target: Path) -> None:
    """A plain OSError, as if the drive were broken."""
    path = made(tmp_path, "tar.bz2", {"1": os.urandom(2_000_000)})
    data = bytearray(path.read_bytes())
    data[1_500_000:1_500_200] = bytes(200)
    path.write_bytes(data)
    with pytest.raises(DownloadError, match=r"is damaged \(Invalid data stream\)\. Delete it"):
        unpack(path, target)
    assert nothing_left(target)


@pytest.mark.parametrize("form", ["zip", "tar.xz", "tar.gz"])
def test_damaged(tmp_path: Path, target: Path, form: str) -> None:
    path = made(tmp_path, form, {str(n): os.urandom(30_000) for n in range(5)})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    with pytest.raises(DownloadError, match=r"is damaged|neither"):
        unpack(path, target)
    assert nothing_left(target)


def test_what_is_no_archive(tmp_path: Path, target: Path) -> None:
    (tmp_path / "page.html").write_text("<html>please log in</html>")
    with pytest.raises(DownloadError, match=r"page\.html: is neither a zip nor a tar archive"):
        unpack(tmp_path / "page.html", target)
    with pytest.raises(DownloadError, match=r"none\.zip: cannot be read: No such file"):
        unpack(tmp_path / "none.zip", target)
    assert nothing_left(target)


def test_an_encrypted_zip(tmp_path: Path, target: Path) -> None:
    path = zipped(tmp_path / "data.zip", {"a": b"b"})
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DownloadError, match="is encrypted; unpack it by hand"):
        unpack(path, target)
    assert nothing_left(target)


def test_nothing_wanted(tmp_path: Path, target: Path) -> None:
    with pytest.raises(DownloadError, match="holds none of the files expected"):
        unpack(made(tmp_path, "tar", FILES), target, rename=[("nothing", "x")])
    assert nothing_left(target)


def test_two_of_one_name(tmp_path: Path, target: Path) -> None:
    with pytest.raises(DownloadError, match="holds x twice"):
        unpack(made(tmp_path, "tar", FILES), target, rename=[(".*", "x")])
    assert nothing_left(target)


def test_a_folder_that_is_not_empty(tmp_path: Path, target: Path) -> None:
    target.mkdir(parents=True)
    (target / "mine").touch()
    archive = made(tmp_path, "zip", FILES)
    with pytest.raises(OutputError, match="holds files already; give a folder that is empty"):
        unpack(archive, target)
    with pytest.raises(OutputError, match="is a file; give a folder"):
        unpack(archive, target / "mine")
    assert list(found(target)) == ["mine"]


LIMITED = """
import resource, sys
from pathlib import Path
from kizu.downloads import unpack
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of resources")
def test_a_full_disk(tmp_path: Path, target: Path) -> None:
    archive = made(tmp_path, "tar.xz", FILES)
    command = [sys.executable, "-X", "utf8", "-c", LIMITED, str(archive), str(target)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == (
        f"OutputError: {target}: cannot be written: no space left on the drive; free some and run again.\n"
    )
    assert nothing_left(target)
