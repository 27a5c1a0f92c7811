"""``kizu data``, as its users meet it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace as Namespace
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from cli.running import Command, files
from downloads.serving import Site, serving
from downloads.test_archive import found, zipped
from kizu import errors
from kizu.datasets import find_products, load_dataset, public
from kizu.datasets.solar_cells import solar_cells
from kizu.images import read_image, read_mask
from workflows import tiles

pytestmark = pytest.mark.filterwarnings("default::kizu.KizuWarning")

CARD = {
    "title": "Parts: two of them",
    "page": "https://example.org/parts",
    "licence": "CC BY-NC-SA 4.0",
    "licence_url": "https://creativecommons.org/licenses/by-nc-sa/4.0/",
    "accept": "not for commercial use",
    "citation": "Nobody: Parts, 2025",
}


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An archive of two products in a folder of its own."""
    folder = tmp_path_factory.mktemp("made")
    for name in ("bolt", "nut"):
        tiles.mvtec(folder / name)
    packed = {f"parts/{name}": data for name, data in found(folder).items()}
    return zipped(folder / "parts.zip", packed).read_bytes()


@pytest.fixture
def site(content: bytes) -> Iterator[Site]:
    with serving(Site(content)) as running:
        yield running


@pytest.fixture
def card(tmp_path: Path, site: Site, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes the card of the one data set there is, ``parts``; its fields may be changed."""
    folder = tmp_path / "cards"
    folder.mkdir()
    monkeypatch.setattr(public, "_FOLDER", folder)
    where = {"urls": [f"{site.url.rpartition('/')[0]}/parts.zip"], "size": len(content)}

    def write(**fields: Any) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        entries = {**CARD, **where, "sha256": sha256, **fields}
        text = yaml.safe_dump({name: value for name, value in entries.items() if value is not None})
        (folder / "parts.yaml").write_text(text, encoding="utf-8")

    write()
    return write


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "絵" / "parts"


def fetch(kizu: Command, out: Path, *more: object) -> Any:
    return kizu("data", "fetch", "parts", "-o", out, *more)


def beside(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir()) if out.parent.exists() else []


def test_fetch(kizu: Command, card: Any, site: Site, out: Path, content: bytes) -> None:
    said = fetch(kizu, out, "--accept-licence")
    assert said.code == 0, said
    first, second, third = said.out.splitlines()
    assert first == f"parts is in {out}: 2 products: bolt, nut."
    assert second.startswith("Licence: CC BY-NC-SA 4.0 (https://")
    assert "Nobody: Parts, 2025" in second
    assert third == f"Next: kizu fit {out / 'bolt'} -o bolt.kizu"
    mib = f"{len(content) / 2**20:.1f} MiB"
    assert said.err == f"Downloading parts.zip ({mib})\nUnpacking parts.zip ({mib})\n"
    assert beside(out) == ["parts"]
    assert [path.name for path in find_products(out)] == ["bolt", "nut"]  # not in the archive's own folder
    assert json.loads((out / "kizu-data.json").read_text(encoding="utf-8"))["citation"] == "Nobody: Parts, 2025"
    again = fetch(kizu, out)
    assert again.out.startswith(f"parts was already in {out}: 2 products")
    assert len(site.requests) == 1


def test_the_command_it_ends_with_works(kizu: Command, card: Any, out: Path, tmp_path: Path) -> None:
    card(rename=[["parts/bolt/(.+)", r"\1"]])
    said = fetch(kizu, out, "--accept-licence", "--json")
    assert said.document["products"] == [str(out)]
    assert (said.document["fetched"], said.document["data"]["how"]) == (True, "download")
    model = tmp_path / "m.kizu"
    assert kizu("fit", out, "-o", model, "--image-size", 64, "--false-alarms", 0.2).code == 0
    assert kizu("evaluate", model, out).code == 0


@pytest.mark.parametrize("wrapper", ["", "nut/", "one/two/"])
def test_folders_around_the_products_are_taken_away(
    kizu: Command, card: Any, out: Path, tmp_path: Path, content: bytes, wrapper: str
) -> None:
    """Also one with the name of what is in it."""
    tiles.mvtec(tmp_path / "nut")
    packed = {f"{wrapper}nut/{name}": data for name, data in found(tmp_path / "nut").items()}
    archive = zipped(tmp_path / "nut.zip", packed)
    card(sha256=None)
    assert fetch(kizu, out, "--accept-licence", "--archive", archive).code == 0
    (product,) = find_products(out)
    assert load_dataset(product).counts()["train"] == {"good": 12}
    assert {path.name for path in out.iterdir()} == {"kizu-data.json", "nut"}


def test_the_licence_must_be_accepted(kizu: Command, card: Any, site: Site, out: Path) -> None:
    assert fetch(kizu, out).error == (
        "parts is under CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/): "
        "not for commercial use. If you accept that, run again with --accept-licence."
    )
    assert site.requests == []
    card(accept=None)
    assert fetch(kizu, out).code == 0


def test_without_a_network(kizu: Command, card: Any, out: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    card(urls=[f"http://127.0.0.1:{port}/{n}/parts.zip" for n in (1, 2)])
    error = fetch(kizu, out, "--accept-licence").error
    assert error.startswith(f"http://127.0.0.1:{port}/1/parts.zip: cannot be downloaded: Connection refused.")
    assert error.endswith(
        "By hand: get parts.zip (0.0 GiB) from https://example.org/parts, and run "
        f"`kizu data fetch parts --archive FILE -o {out}`, or unpack it into {out}."
    )
    assert beside(out) == []


def test_a_second_address_is_tried(kizu: Command, card: Any, site: Site, out: Path) -> None:
    with serving(Site(b"", status=404)) as gone:
        card(urls=[gone.url, site.url])
        assert fetch(kizu, out, "--accept-licence").code == 0
    assert (len(gone.requests), len(site.requests)) == (1, 1)


@pytest.mark.parametrize("place", [0, 1])
def test_what_has_come_from_one_address_goes_on_from_there(
    kizu: Command, card: Any, site: Site, out: Path, content: bytes, place: int
) -> None:
    """Another server may call the same file by another name, and would begin anew."""
    with serving(Site(content, etag='"other"', status=503)) as other:
        urls = [other.url]
        urls.insert(place, site.url)
        card(urls=urls)
        site.cut = 30_000
        assert fetch(kizu, out, "--accept-licence").code == 2
        other.status = 200
        assert fetch(kizu, out, "--accept-licence").code == 0
    assert site.starts() == ["", "bytes=30000-"]
    assert len(other.requests) == place  # it is asked while there is nothing yet


def test_what_broke_off_goes_on(kizu: Command, card: Any, site: Site, out: Path) -> None:
    site.cut = 30_000
    assert "goes on where it stopped" in fetch(kizu, out, "--accept-licence").error
    assert beside(out) == ["parts.zip.part", "parts.zip.part.state"]
    assert fetch(kizu, out, "--accept-licence").code == 0
    assert site.starts() == ["", "bytes=30000-"]
    assert beside(out) == ["parts"]


def test_another_file_than_the_published_one(kizu: Command, card: Any, site: Site, out: Path) -> None:
    card(sha256="0" * 64)
    assert "is not the expected file" in fetch(kizu, out, "--accept-licence").error
    assert beside(out) == []


def test_an_archive_that_was_there_before_is_used_and_stays(
    kizu: Command, card: Any, site: Site, out: Path, content: bytes
) -> None:
    out.parent.mkdir()
    archive = out.parent / "parts.zip"
    archive.write_bytes(content)
    assert fetch(kizu, out, "--accept-licence").code == 0
    assert (site.requests, archive.read_bytes(), beside(out)) == ([], content, ["parts", "parts.zip"])


def test_room_for_what_is_there_is_not_asked_for(
    kizu: Command, card: Any, out: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive is there; there is room for what is in it, but not for another archive."""
    out.parent.mkdir()
    (out.parent / "parts.zip").write_bytes(content)
    free = shutil._ntuple_diskusage(2**40, 2**39, round(1.2 * len(content)))  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    assert fetch(kizu, out, "--accept-licence").code == 0


def test_another_file_of_the_archives_name_is_not_touched(kizu: Command, card: Any, site: Site, out: Path) -> None:
    out.parent.mkdir()
    (out.parent / "parts.zip").write_bytes(b"mine")
    error = fetch(kizu, out, "--accept-licence").error
    assert "parts.zip: is in the way, and is not the archive of parts (its SHA-256 is another); move it" in error
    assert (files(out.parent), site.requests) == ({"parts.zip": b"mine"}, [])


def test_into_the_folder_one_is_in(
    kizu: Command, card: Any, site: Site, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a whole drive, so all of it is done inside: a part too, and what goes on there."""
    card(rename=[["parts/bolt/(.+)", r"\1"]])
    out.mkdir(parents=True)
    monkeypatch.chdir(out)
    site.cut = 30_000
    assert "goes on where it stopped" in fetch(kizu, Path(), "--accept-licence").error
    assert [path.name for path in sorted(out.iterdir())] == ["parts.zip.part", "parts.zip.part.state"]
    said = fetch(kizu, Path(), "--accept-licence")
    assert said.code == 0, said
    assert said.out.endswith("Next: kizu fit . -o parts.kizu\n")
    assert site.starts() == ["", "bytes=30000-"]
    assert {path.name for path in out.iterdir()} == {"kizu-data.json", "ground_truth", "test", "train"}
    assert beside(out) == ["parts"]


def test_by_hand_into_a_folder_where_a_download_broke_off(
    kizu: Command, card: Any, site: Site, out: Path, tmp_path: Path, content: bytes
) -> None:
    out.mkdir(parents=True)
    site.cut = 30_000
    assert "--archive FILE" in fetch(kizu, out, "--accept-licence").error
    brought = tmp_path / "brought.zip"
    brought.write_bytes(content)
    assert fetch(kizu, out, "--accept-licence", "--archive", brought).code == 0


def test_its_products_are_gone(kizu: Command, card: Any, out: Path) -> None:
    fetch(kizu, out, "--accept-licence")
    for product in ("bolt", "nut"):
        shutil.rmtree(out / product)
    error = fetch(kizu, out).error
    assert error == (
        f"{out}: parts was fetched into it, but its products are gone; delete the folder and fetch again."
    )


def test_a_broken_link_is_found_before_the_download(kizu: Command, card: Any, site: Site, out: Path) -> None:
    out.parent.mkdir()
    out.symlink_to(out.parent / "nothing")
    assert "is a broken link" in fetch(kizu, out, "--accept-licence").error
    assert site.requests == []


def test_paths_as_the_command_line_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert errors.quoted("絵 1") == "'絵 1'"
    assert errors.quoted("-bolt 1.kizu") == "'./-bolt 1.kizu'"
    monkeypatch.setattr(errors.os, "name", "nt")
    assert [errors.quoted(path) for path in (r"C:\絵\bolt", r"C:\my data\bolt")] == [
        r"C:\絵\bolt",
        r'"C:\my data\bolt"',
    ]


def test_without_a_published_checksum_it_is_told(kizu: Command, card: Any, out: Path, content: bytes) -> None:
    card(sha256=None)
    said = fetch(kizu, out, "--accept-licence", "--keep-archive")
    assert f"which nobody has published: {hashlib.sha256(content).hexdigest()}\n" in said.out
    assert beside(out) == ["parts", "parts.zip"]


def test_by_hand(kizu: Command, card: Any, out: Path, tmp_path: Path, content: bytes) -> None:
    card(urls=None)
    said = fetch(kizu, out, "--accept-licence").error
    assert said == (
        "parts: cannot be downloaded by a program. Get the archive from https://example.org/parts, and run "
        f"`kizu data fetch parts --archive FILE -o {out}`, or unpack it into {out}."
    )
    brought = tmp_path / "届いた.zip"
    brought.write_bytes(content)
    assert fetch(kizu, out, "--accept-licence", "--archive", brought).code == 0
    assert brought.exists()
    brought.write_bytes(content + b"altered")
    error = fetch(kizu, out.with_name("other"), "--accept-licence", "--archive", brought).error
    assert "is not the archive of parts (its SHA-256 is" in error
    assert "none.zip: cannot be read: No such file" in (
        fetch(kizu, out.with_name("other"), "--accept-licence", "--archive", tmp_path / "none.zip").error
    )


def test_by_hand_with_names_that_change(kizu: Command, card: Any, tmp_path: Path) -> None:
    """What is unpacked by hand would have no layout; and the command can be copied into a shell."""
    out = tmp_path / "un mille"
    card(urls=None, rename=[["parts/bolt/(.+)", r"\1"]])
    said = fetch(kizu, out, "--accept-licence").error
    assert said.endswith(f"and run `kizu data fetch parts --archive FILE -o '{out}'`.")


@pytest.mark.parametrize("kept", [(), ("--keep-archive",)])
def test_an_archive_kizu_fetched_is_its_own_after_an_unpacking_that_failed(
    kizu: Command, card: Any, site: Site, out: Path, kept: tuple[str, ...]
) -> None:
    card(rename=[["nothing", "nothing"]])
    assert "holds none of the files expected" in fetch(kizu, out, "--accept-licence").error
    assert beside(out) == ["parts.zip", "parts.zip.fetched"]
    card()
    assert fetch(kizu, out, "--accept-licence", *kept).code == 0
    assert len(site.requests) == 1
    assert beside(out) == ["parts", *(["parts.zip"] if kept else [])]


def test_an_archive_put_in_place_of_the_fetched_one_stays(
    kizu: Command, card: Any, out: Path, content: bytes
) -> None:
    card(rename=[["nothing", "nothing"]])
    assert fetch(kizu, out, "--accept-licence").code == 2
    archive = out.parent / "parts.zip"
    archive.unlink()
    archive.write_bytes(content)
    os.utime(archive, (0, 0))
    card()
    assert fetch(kizu, out, "--accept-licence").code == 0
    assert beside(out) == ["parts", "parts.zip"]


def test_a_folder_with_other_files(kizu: Command, card: Any, site: Site, out: Path) -> None:
    tiles.good(out, 3)
    before = files(out)
    error = fetch(kizu, out, "--accept-licence").error
    assert error == f"{out}: holds files already; give a folder that is empty or not there."
    assert (files(out), site.requests) == (before, [])


def test_an_archive_of_something_else(kizu: Command, card: Any, out: Path, tmp_path: Path) -> None:
    card(sha256=None)
    brought = zipped(tmp_path / "text.zip", {"readme.txt": b"text"})
    error = fetch(kizu, out, "--accept-licence", "--archive", brought).error
    assert "holds no data set that kizu reads" in error
    assert not out.exists()


def test_no_room(kizu: Command, card: Any, site: Site, out: Path) -> None:
    card(size=2**60)
    error = fetch(kizu, out, "--accept-licence").error
    assert "parts takes 2254857830.4 GiB while it is unpacked, and " in error
    assert site.requests == []


def test_a_name_that_is_none(kizu: Command) -> None:
    error = kizu("data", "fetch", "mvtec").error
    assert error.startswith("unknown data set 'mvtec'. Did you mean 'mvtec_")
    assert error.endswith("See `kizu data list`.")


def test_list(kizu: Command) -> None:
    said = kizu("data", "list")
    assert (said.code, said.err) == (0, "")
    for name in public.names():
        assert f"\n{name} " in said.out
    listed = kizu("data", "list", "--json").document["data"]
    assert [card["name"] for card in listed] == list(public.names())
    assert {card["how"] for card in listed} == {"download", "package", "by hand"}


@pytest.mark.parametrize("name", public.names())
def test_every_card_is_complete(name: str) -> None:
    card = public.card(name)
    assert all((card.title, card.licence, card.citation))
    assert card.page.startswith("https://")
    assert all(url.startswith("https://") for url in card.urls)
    assert card.sha256 is None or len(card.sha256) == 64
    assert bool(card.accept) == ("NC" in card.licence or name == "btad")
    assert not card.citation.endswith(".")


def test_magnetic_tiles_are_put_in_order(kizu: Command, tmp_path: Path) -> None:
    root = "Magnetic-tile-defect-datasets.-master/"
    for number in range(6):
        tiles.write(tmp_path / "made" / f"{root}MT_Free/Imgs/f{number}.jpg", tiles.tile(number))
        tiles.write(tmp_path / "made" / f"{root}MT_Free/Imgs/f{number}.png", np.zeros((96, 96), np.uint8))
    for kind in ("Blowhole", "Break", "Crack", "Fray", "Uneven"):
        image = tiles.tile(9, scratched=True)
        tiles.write(tmp_path / "made" / f"{root}MT_{kind}/Imgs/d.jpg", image)
        Image.fromarray(tiles.scratch(9).astype(np.uint8) * 255).save(
            tmp_path / "made" / f"{root}MT_{kind}/Imgs/d.png"
        )
    archive = zipped(tmp_path / "mtd.zip", found(tmp_path / "made"))
    out = tmp_path / "tiles"
    assert kizu("data", "fetch", "magnetic_tile", "--archive", archive, "-o", out).code == 0
    data = load_dataset(out)
    assert (len(data.samples), data.remarks) == (11, ())
    bad = [sample for sample in data.samples if sample.label == "bad"]
    assert [sample.defect_type for sample in bad] == ["Blowhole", "Break", "Crack", "Fray", "Uneven"]
    assert all(sample.mask is not None for sample in bad)


def test_solar_cells_come_with_their_package(kizu: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = kizu("data", "fetch", "elpv", "-o", tmp_path / "cells", "--accept-licence")
    assert "2 products: mono, poly." in said.out
    counts = load_dataset(tmp_path / "cells" / "mono").counts()
    assert (counts["train"]["good"], set(counts["test"])) == (353, {"good", "defective"})
    gone = replace(solar_cells("mono").samples[0], path=tmp_path / "gone.png")
    with monkeypatch.context() as patched:
        patched.setattr("kizu.workflows._fetch_data.solar_cells", lambda kind: Namespace(samples=[gone]))
        error = kizu("data", "fetch", "elpv", "-o", tmp_path / "others", "--accept-licence").error
    assert error == f"{tmp_path / 'gone.png'}: cannot be read: No such file or directory. Install its package again."
    monkeypatch.setattr("kizu.datasets.solar_cells.importlib.util.find_spec", lambda name: None)
    error = kizu("data", "fetch", "elpv", "-o", tmp_path / "others", "--accept-licence").error
    assert error == 'elpv comes as a package, which is not installed. Run: pip install "kizu[demo]"'


def synthesise(kizu: Command, data: Path, out: Path, *more: object) -> Any:
    return kizu("data", "synthesise", data, "-o", out, *more)


def test_synthesise(kizu: Command, tmp_path: Path) -> None:
    good = tmp_path / "良品"
    tiles.good(good, 20)
    before = files(good)
    out = tmp_path / "合成 傷"
    said = synthesise(kizu, good, out)
    assert said.code == 0, said
    assert said.out.startswith(f"Wrote {out}: 16 good images to fit on, 4 held out, and defects: 1 scratch, 1 blob, ")
    assert f"Next: kizu fit '{out}' -o part.kizu, then kizu evaluate part.kizu '{out}'" in said.out
    assert said.err == "Drawing defects (24)\n"
    assert files(good) == before
    data = load_dataset(out)
    assert (data.layout, data.remarks) == ("MVTec AD", ())
    assert data.counts()["train"] == {"good": 16}
    assert data.counts()["test"]["good"] == 4
    assert all(sample.mask is not None for sample in data.test() if sample.label == "bad")
    held_out = {sample.path.name for sample in data.test() if sample.label == "good"}
    rows = (out / "defects.csv").read_text(encoding="utf-8-sig").splitlines()
    assert rows[0] == "image,mask,kind,drawn_on,share"
    assert {row.split(",")[3] for row in rows[1:]} == held_out
    for row in rows[1:]:
        image, mask, _, drawn_on, _ = row.split(",")
        marked = read_mask(out / mask)
        before = read_image(out / "test" / "good" / drawn_on)
        assert (read_image(out / image)[~marked] == before[~marked]).all()
        assert (before == read_image(good / drawn_on)).all()
    model = tmp_path / "m.kizu"
    assert kizu("fit", out, "-o", model, "--image-size", 64, "--false-alarms", 0.2).code == 0
    evaluated = kizu("evaluate", model, out, "--json").document
    assert evaluated["pixel"]["regions"] >= 4


def test_synthesise_as_asked(kizu: Command, tmp_path: Path) -> None:
    tiles.good(tmp_path / "good", 10)
    asked = ("--kinds", "blob, scratch", "--count", 3, "--strength", 2, "--seed", 7)
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    result = synthesise(kizu, tmp_path / "good", one, *asked, "--json").document
    assert result["images"] == {"fit": 8, "good": 2, "defects": {"blob": 3, "scratch": 3}}
    assert (result["strength"], result["seed"]) == (2.0, 7)
    synthesise(kizu, tmp_path / "good", two, *asked)
    synthesise(kizu, tmp_path / "good", other, *asked[:-1], 8)
    assert files(one) == files(two)
    assert files(one) != files(other)


def test_synthesise_on_images_of_one_name(kizu: Command, tmp_path: Path) -> None:
    """A list may take images of the same name from several folders."""
    rows = ["path"]
    for camera in "ab":
        tiles.good(tmp_path / camera, 5)
        rows += [f"{camera}/良品{number:03}.png" for number in range(5)]
    (tmp_path / "list.csv").write_text("\n".join(rows), encoding="utf-8")
    synthesise(kizu, tmp_path / "list.csv", tmp_path / "out")
    counts = load_dataset(tmp_path / "out").counts()
    assert (counts["train"]["good"], counts["test"]["good"]) == (8, 2)


def test_synthesise_refusals(kizu: Command, tmp_path: Path) -> None:
    good, out = tmp_path / "good", tmp_path / "out"
    for count, are in ((1, "1 good image for training is"), (4, "4 good images for training are")):
        tiles.good(good, count)
        error = synthesise(kizu, good, out).error
        assert error == f"{good}: {are} too few to hold some out; give 5 or more."
    tiles.good(good, 8)
    assert (
        "unknown kind of defect 'blot'. Did you mean 'blob'?" in synthesise(kizu, good, out, "--kinds", "blot").error
    )
    assert "`strength` must be in (0, 10]" in synthesise(kizu, good, out, "--strength", 0).error
    assert "holds files already" in synthesise(kizu, good, good).error
    for path in good.iterdir():
        path.write_bytes(b"no image")
    assert "not an image kizu reads" in synthesise(kizu, good, out).error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good"]
