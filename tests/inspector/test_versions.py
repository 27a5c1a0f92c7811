"""Versions of a model file: copies to the last bit, and nothing lost whenever the power goes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kizu
from cli.running import files
from inspector.archives import packed, unpacked
from kizu.errors import ModelFileError, OutputError, quoted
from kizu.inspector import identity, versions


@pytest.fixture
def part(model: Path, tmp_path: Path) -> Path:
    """A model of its own."""
    return Path(shutil.copy(model, tmp_path / "部品.kizu"))


@pytest.fixture
def other(padim_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another one, elsewhere."""
    return Path(shutil.copy(padim_model, tmp_path_factory.mktemp("other") / "other.kizu"))


def test_an_id_says_what_a_model_is(model: Path, padim_model: Path, tmp_path: Path) -> None:
    assert len(identity(model)) == 16
    assert int(identity(model), 16)
    assert identity(model) != identity(padim_model)
    kizu.load(model).save(tmp_path / "again.kizu")
    assert identity(tmp_path / "again.kizu") == identity(model)


def test_another_content_is_another_id(model: Path, tmp_path: Path) -> None:
    def with_scores(raised: float) -> Path:
        content = unpacked(model)
        manifest = json.loads(content["manifest.json"])
        manifest["calibration"]["scores"][0] += raised
        content["manifest.json"] = json.dumps(manifest, ensure_ascii=False, indent=1).encode()
        return packed(tmp_path / "changed.kizu", [*content.items()])

    assert identity(with_scores(0)) == identity(model)
    assert identity(with_scores(1e-12)) != identity(model)


@pytest.mark.parametrize("content", [b"", b"no zip"])
def test_the_id_of_what_is_no_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.kizu"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="damaged"):
        identity(path)
    with pytest.raises(ModelFileError, match="no such model file"):
        identity(tmp_path / "b.kizu")


def test_a_version_is_a_copy_under_its_id(part: Path) -> None:
    kept = versions.keep(part, versions.folder_of(part))
    assert kept == part.with_name("部品.kizu.versions") / f"{identity(part)}.kizu"
    assert kept.read_bytes() == part.read_bytes()
    assert versions.kept(part) == {identity(part): kept}


def test_a_version_that_is_kept_already_is_not_written_again(part: Path) -> None:
    kept = versions.keep(part, versions.folder_of(part))
    before = kept.stat().st_mtime_ns, kept.stat().st_ino
    assert versions.keep(part, versions.folder_of(part)) == kept
    assert (kept.stat().st_mtime_ns, kept.stat().st_ino) == before
    kept.write_bytes(b"damaged")
    versions.keep(part, versions.folder_of(part))
    assert kept.read_bytes() == part.read_bytes()


def test_a_link_has_the_versions_of_its_target(part: Path, tmp_path: Path) -> None:
    link = tmp_path / "links" / "now.kizu"
    link.parent.mkdir()
    link.symlink_to(part)
    assert versions.folder_of(link) == versions.folder_of(part)


def test_going_back_and_forth(part: Path, other: Path) -> None:
    old, new = part.read_bytes(), other.read_bytes()
    first = identity(part)
    versions.keep(part, versions.folder_of(part))
    shutil.copy(other, part)
    assert versions.restore(part, first).stem == first
    assert part.read_bytes() == old
    assert len(versions.kept(part)) == 2
    versions.restore(part, identity(other)[:6])
    assert part.read_bytes() == new


def test_a_model_that_is_gone_comes_back(part: Path) -> None:
    kept = versions.keep(part, versions.folder_of(part))
    part.unlink()
    versions.restore(part, kept.stem)
    assert part.read_bytes() == kept.read_bytes()


@pytest.mark.parametrize("named", ["", "ffffff", "0"])
def test_a_version_that_is_not_there(part: Path, named: str) -> None:
    kept = versions.keep(part, versions.folder_of(part))
    for digit in "12":
        shutil.copy(part, kept.with_name(f"0{digit}.kizu"))
    before = files(part.parent)
    with pytest.raises(
        ModelFileError, match=r"several versions begin|unknown version .* Known: .*--history"
    ) as caught:
        versions.restore(part, named)
    assert "\n" not in str(caught.value)
    assert files(part.parent) == before


def test_the_command_that_lists_versions_can_be_pasted(part: Path) -> None:
    spaced = part.rename(part.with_name("a part.kizu"))
    with pytest.raises(ModelFileError, match="--history`") as caught:
        versions.restore(spaced, "ffffff")
    assert str(caught.value).endswith(f" See `kizu update {quoted(spaced)} --history`.")
    assert str(spaced) != quoted(spaced)


def test_a_version_that_was_altered(part: Path, other: Path) -> None:
    kept = versions.keep(part, versions.folder_of(part))
    before = part.read_bytes()
    shutil.copy(other, kept)
    with pytest.raises(ModelFileError, match="was altered since it was kept"):
        versions.restore(part, kept.stem)
    kept.write_bytes(kept.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match="damaged"):
        versions.restore(part, kept.stem)
    assert part.read_bytes() == before


def test_no_room_for_versions(part: Path) -> None:
    versions.folder_of(part).write_bytes(b"in the way")
    with pytest.raises(OutputError, match="versions: is a file, not a folder"):
        versions.keep(part, versions.folder_of(part))


POWER_CUT = """
import os, sys
from pathlib import Path
from kizu.files import atomic_write
from kizu.inspector import versions

after, step, part, other = int(sys.argv[1]), 0, Path(sys.argv[3]), Path(sys.argv[4])

def mortal(call):
    def called(*arguments, **options):
        global step
        step += 1
        if step == after:
            os._exit(9)
        return call(*arguments, **options)
    return called

for thing, name in ((os, "fsync"), (Path, "mkdir"), (Path, "open"), (Path, "replace"), (Path, "unlink")):
    setattr(thing, name, mortal(getattr(thing, name)))
if sys.argv[2] == "update":
    versions.keep(part, versions.folder_of(part))
    atomic_write(part, other.read_bytes())
else:
    versions.restore(part, sys.argv[2])
print("survived")
"""


def cut_short(after: int, what: str, part: Path, other: Path) -> bool:
    """Whether it came to its end; otherwise it was killed before its file operation number ``after``."""
    command = [sys.executable, "-c", POWER_CUT, str(after), what, str(part), str(other)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) in ((9, "", ""), (0, "survived\n", ""))
    return done.returncode == 0


@pytest.mark.parametrize("what", ["update", "restore"])
def test_a_power_cut_at_any_moment_loses_nothing(part: Path, other: Path, what: str) -> None:
    old, new = part.read_bytes(), other.read_bytes()
    ids = {identity(part): old, identity(other): new}
    if what == "restore":
        versions.keep(other, versions.folder_of(part))
    wanted = identity(other) if what == "restore" else what
    kept = files(part.parent)
    seen = set()
    for after in range(1, 200):
        survived = cut_short(after, wanted, part, other)
        assert part.read_bytes() in (old, new)
        found = {one: path.read_bytes() for one, path in versions.kept(part).items()}
        assert found.items() <= ids.items()
        assert old in (part.read_bytes(), *found.values())
        assert what == "update" or new in found.values()
        seen.add((part.read_bytes() == new, len(found)))
        if survived:
            break
        shutil.rmtree(part.parent)
        for name, content in kept.items():
            path = part.parent / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    assert survived
    assert after > 10
    had = len(kept) - 1
    assert seen == {(False, had), (False, had + 1), (True, had + 1)}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(part: Path) -> None:
    part.parent.chmod(0o555)
    try:
        with pytest.raises(OutputError, match="no permission"):
            versions.keep(part, versions.folder_of(part))
    finally:
        part.parent.chmod(0o755)
