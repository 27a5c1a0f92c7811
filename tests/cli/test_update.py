"""``kizu update``: adding, undoing, listing, and what it says when it will not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.running import Command, files, in_its_own_process
from kizu.inspector import identity
from workflows.tiles import good, good_bad, tile, write


@pytest.fixture
def part(model: Path, tmp_path: Path) -> Path:
    """A PatchCore model of its own."""
    return Path(shutil.copy(model, tmp_path / "部品.kizu"))


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """4 further sound tiles."""
    good(tmp_path / "新規", 4, first=200)
    return tmp_path / "新規"


def test_commands_for_a_name_with_blanks(kizu: Command, part: Path, batch: Path) -> None:
    blank = part.rename(part.with_name("ねじ 1.kizu"))
    assert f"To go back: kizu update '{blank}' --undo" in kizu("update", blank, batch).out
    assert f"To bring that back: kizu update '{blank}' --restore " in kizu("update", blank, "--undo").out
    assert f"kizu threshold '{blank}' --false-alarms 0.005" in kizu("threshold", blank).out
    assert f"kizu threshold '{blank}' ..." in kizu("threshold", blank, "--false-alarms", 0.1).out


def test_add_list_undo_and_back(kizu: Command, part: Path, batch: Path) -> None:
    old, first = part.read_bytes(), identity(part)
    said = kizu("update", part, batch)
    assert said.code == 0
    assert "Added 4 images to patchcore in " in said.out
    assert "Now bank rows " in said.out
    assert "by 24 + 4 good images." in said.out
    second = identity(part)
    assert f"Wrote {part} (" in said.out
    assert f"id {second}." in said.out
    assert f"as {part}.versions/{first}.kizu (" in said.out
    assert said.out.endswith(f"To go back: kizu update {part} --undo\n")
    listed = kizu("update", part, "--history").out.splitlines()
    assert listed[0].split(maxsplit=2) == [
        second,
        "now",
        "4 images added: 良品200.png, 良品201.png, 良品202.png and 1 more",
    ]
    assert listed[1].startswith(f"{first}  kept, ")
    assert listed[1].endswith("  as fitted")
    assert listed[2].startswith(f"{part}.versions takes ")
    said = kizu("update", part, "--undo")
    assert said.out.splitlines()[0] == f"{part} is {first} again."
    assert part.read_bytes() == old
    assert "set aside" in kizu("update", part, "--history").out
    said = kizu("update", part, "--restore", second[:5])
    assert said.out.startswith(f"{part} is {second} again.\nKept {first}.")
    assert identity(part) == second


def test_documents(kizu: Command, part: Path, batch: Path) -> None:
    first = identity(part)
    found = kizu("update", part, batch, "--json").document
    assert (found["model"], found["id"], found["previous"]) == (str(part), identity(part), first)
    assert (len(found["added"]), found["calibrating"], found["repeated"]) == (4, 4, [])
    assert found["before"].keys() == found["after"].keys()
    versions = kizu("update", part, "--history", "--json").document["versions"]
    assert [version["current"] for version in versions] == [True, False]
    assert versions[1]["bytes"] == Path(versions[1]["path"]).stat().st_size
    found = kizu("update", part, "--undo", "--json").document
    assert found == {"model": str(part), "id": first, "replaced": versions[0]["id"]}


def test_info_tells_the_id_and_the_updates(kizu: Command, part: Path, batch: Path) -> None:
    first = identity(part)
    assert kizu("info", part).out.splitlines()[0].endswith(f", id {first}")
    assert "Updates" not in kizu("info", part).out
    kizu("update", part, batch)
    said = kizu("info", part)
    assert f"after {first}   4 images" in said.out
    document = kizu("info", part, "--json").document
    assert document["id"] == identity(part)
    assert document["provenance"]["history"][0]["id"] == first


@pytest.mark.filterwarnings("always")
def test_what_was_left_out_and_what_stood_out(kizu: Command, part: Path, batch: Path, tmp_path: Path) -> None:
    kizu("update", part, batch / "良品200.png")
    (batch / "broken.png").write_bytes(b"")
    odd = write(tmp_path / "odd.png", tile(101, scratched=True))
    said = kizu("update", part, batch, odd, "--skip-unreadable")
    assert "Added 4 images" in said.out
    assert "Left out 1 image that the model has already: 良品200.png." in said.out
    assert "Skipped 1 unreadable file." in said.out
    assert " of those added had been NG or for review; now all are OK.\n" in said.out
    assert f"warning: {odd}: far above every good image so far." in said.err


def test_selected_images_do_not_calibrate(kizu: Command, part: Path, batch: Path) -> None:
    assert "by the same 24 good images." in kizu("update", part, batch, "--selected").out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "name images to add, or one of --undo, --restore ID and --history."),
        (["--undo", "--history"], "name images to add, or one of"),
        (["{batch}", "--undo"], "name images to add, or one of"),
        (["--undo", "--out", "a.kizu"], "--out and --selected are for adding images"),
        (["--history", "--selected"], "--out and --selected are for adding images"),
        (["--undo"], "has not been updated, so there is nothing to undo."),
        (["--restore", "abc"], "unknown version 'abc'. Known: none."),
        (["gone"], "gone: no such file or folder."),
        (["{batch}", "--out", "{batch}"], "is a folder; give the name of a file in it."),
    ],
)
def test_what_cannot_be_done(kizu: Command, part: Path, batch: Path, arguments: list[str], text: str) -> None:
    before = files(part.parent)
    assert text in kizu("update", part, *(argument.format(batch=batch) for argument in arguments)).error
    assert files(part.parent) == before


def test_defects_and_masks_are_not_learnt(kizu: Command, part: Path, tmp_path: Path) -> None:
    root, before = good_bad(tmp_path / "部品", sound=4, scratched=2), part.read_bytes()
    said = kizu("update", part, root)
    assert "holds defects or masks as well, such as bad/傷100.png. Give the good parts alone, such as " in said.error
    assert said.error.rstrip().endswith(f"{root / 'good'}.")
    (root / "good").rename(tmp_path / "good")
    assert "as well, such as bad. Give the good parts alone." in kizu("update", part, root).error
    (tmp_path / "good").rename(root / "good")
    assert part.read_bytes() == before
    assert "Added 1 image " in kizu("update", part, root / "good").out  # it has the others


def test_folders_of_cameras_are_learnt(kizu: Command, part: Path, tmp_path: Path) -> None:
    for camera in range(1, 3):
        good(tmp_path / "新規" / str(camera), 2, first=200 + 2 * camera)
    assert "Added 4 images" in kizu("update", part, tmp_path / "新規").out


def test_an_image_that_cannot_be_learnt_is_named(kizu: Command, parts: Path, tmp_path: Path) -> None:
    model = tmp_path / "a.kizu"
    kizu("fit", parts, "--image-size", 64, "--false-alarms", 0.2, "--roi", "0,0,48,96", "--out", model)
    good(tmp_path / "新規", 2, first=200)
    odd = write(tmp_path / "新規" / "傷.png", tile(300)[:50])
    assert f"{odd}: the inspected area was drawn in pixels of 96 x 96" in kizu("update", model, odd.parent).error


def test_no_model(kizu: Command, batch: Path, tmp_path: Path) -> None:
    for arguments in ([batch], ["--undo"], ["--history"]):
        assert "no such model file" in kizu("update", tmp_path / "gone.kizu", *arguments).error


LIMITED = """
import resource, sys
from kizu.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
main(sys.argv[2:])
"""


def test_a_full_disk(part: Path, batch: Path) -> None:

    before = files(part.parent)
    command = [sys.executable, "-X", "utf8", "-c", LIMITED, "500000", "update", str(part), str(batch)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(
        ".kizu: cannot be written: no space left on the drive; free some and run again."
    )
    assert files(part.parent) == before


def test_in_a_process_of_its_own(part: Path, batch: Path) -> None:
    said = in_its_own_process(["update", part, batch, "--json"])
    assert said.code == 0
    assert said.document["id"] == identity(part)
