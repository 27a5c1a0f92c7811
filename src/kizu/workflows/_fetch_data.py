"""A public data set's name → its images in a folder that `kizu fit` reads."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kizu.datasets import find_products, load_dataset
from kizu.datasets.public import DataCard, card, names
from kizu.datasets.solar_cells import solar_cells
from kizu.downloads import checksum, fetch, part_origin, unpack
from kizu.errors import DataError, DownloadError, MissingExtraError, OutputError, ParameterError, quoted
from kizu.files import atomic_write, check_free, new_folder, prepare_folder, workplace
from kizu.images.listing import list_folder
from kizu.progress import Progress, Silent

_ROOM = 2.1
"""Times the archive's size that must be free: the archive, what is in it (images hardly shrink), and a little."""

MARK = "kizu-data.json"
"""A file beside the products that says what they are, under which licence, and whom to cite."""

_FETCHED = ".fetched"
"""Ends the name of a file beside an archive that kizu downloaded, which therefore goes once it is unpacked."""

_WRAPPERS = 2  # folders around the products in an archive, at most


@dataclass(frozen=True)
class FetchedData:
    """Where a data set now is: ``products`` are folders for `kizu fit`; ``fetched``: it was not there before."""

    card: DataCard
    out: Path
    products: tuple[Path, ...]
    fetched: bool
    sha256: str | None
    """The archive's checksum, where there was an archive."""

    def to_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        made = {"out": str(self.out), "products": [str(path) for path in self.products]}
        return {"data": self.card.to_dict(), **made, "fetched": self.fetched, "sha256": self.sha256}


def list_data() -> tuple[DataCard, ...]:
    """Every public data set that kizu knows, by name."""
    return tuple(map(card, names()))


def fetch_data(
    name: str,
    out: str | Path | None = None,
    *,
    archive: str | Path | None = None,
    accept_licence: bool = False,
    keep_archive: bool = False,
    progress: Progress | None = None,
) -> FetchedData:
    """Bring a public data set into the folder ``out`` (None: one of its name, here).

    It is downloaded where its publishers offer that, or taken from ``archive``, a file brought by hand; checked
    against the published SHA-256 where there is one, and unpacked whole or not at all. What breaks off goes on where
    it stopped. A folder that holds it already, by the `MARK` in it, is left as it is.

    Raises:
        ParameterError: no such data set, or its licence has to be accepted first.
        DownloadError: it cannot be had from here; the message says where it is and where it belongs.
        MissingExtraError: it comes as a package, which is not installed.
        OutputError: ``out`` holds something else, or cannot be written.
    """
    data = card(name)
    target, shown = Path(out if out is not None else name), progress or Silent()
    if _is_here(data, target):
        return FetchedData(data, target, _kept(data, target), fetched=False, sha256=None)
    check_free(target, besides=_own(data, archive))
    if data.accept and not accept_licence:
        raise ParameterError(
            f"{name} is under {data.licence} ({data.licence_url}): {data.accept}. "
            "If you accept that, run again with --accept-licence."
        )
    found = None
    if data.package and archive is None:
        _from_package(data, target, shown)
    else:
        found = _from_archive(data, target, archive, keep_archive, shown)
    return FetchedData(data, target, _products(target) or (target,), fetched=True, sha256=found)


def _mark(data: DataCard) -> str:
    return json.dumps(data.to_dict(), ensure_ascii=False, indent=2) + "\n"


def _is_here(data: DataCard, folder: Path) -> bool:
    try:
        return bool(json.loads((folder / MARK).read_text(encoding="utf-8"))["name"] == data.name)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _kept(data: DataCard, target: Path) -> tuple[Path, ...]:
    found = _products(target)
    if found is None:
        raise OutputError(
            f"{target}: {data.name} was fetched into it, but its products are gone; "
            "delete the folder and fetch again."
        )
    return found


def _own(data: DataCard, given: str | Path | None) -> set[str]:
    """Names of files that may be in the folder: the archive, and what has come of it."""
    return {Path(given or data.file).name, *(data.file + end for end in ("", ".part", ".part.state", _FETCHED))}


def _products(folder: Path) -> tuple[Path, ...] | None:
    """The data sets in a folder; None: there is none."""
    try:
        found = find_products(folder)
        load_dataset(found[0])
    except DataError:
        return None
    return found


def _unwrap(folder: Path) -> None:
    """Bring the data sets up, where the archive has put them all into a folder of its own."""
    for _ in range(_WRAPPERS):
        inner = list_folder(folder)[0]
        if _products(folder) is not None or len(inner) != 1:
            return
        wrapper = inner[0].replace(folder / f".{inner[0].name}")  # out of the way of a namesake inside it
        for child in wrapper.iterdir():
            if not (folder / child.name).exists():
                child.replace(folder / child.name)
        shutil.rmtree(wrapper)


def _from_archive(data: DataCard, target: Path, given: str | Path | None, keep: bool, progress: Progress) -> str:
    """Download the archive, if it was not given, and unpack it; its SHA-256."""
    if given is not None:
        archive, found, keep = Path(given), _checked(data, Path(given)), True
    else:
        archive = _downloaded(data, target, progress)
        found, keep = data.sha256 or _sha256(archive), keep or not _is_fetched(archive)

    def check(folder: Path) -> None:
        _unwrap(folder)
        if _products(folder) is None:
            raise DownloadError(f"{archive}: holds no data set that kizu reads. Look at {data.page}.")

    own, mark = _own(data, given), {MARK: _mark(data)}
    unpack(archive, target, rename=data.rename, add=mark, check=check, besides=own, progress=progress)
    with suppress(OSError):
        if not keep:
            archive.unlink()
        if given is None:
            _note_of(archive).unlink()
    return found


def _note_of(archive: Path) -> Path:
    return archive.with_name(archive.name + _FETCHED)


def _is_fetched(archive: Path) -> bool:
    """Whether kizu downloaded it, and nobody has put another in its place since."""
    try:
        return _note_of(archive).read_text(encoding="ascii", errors="ignore") == _stamp(archive)
    except OSError:
        return False


def _stamp(archive: Path) -> str:
    found = archive.stat()
    return f"{found.st_size} {found.st_mtime_ns}\n"


def _checked(data: DataCard, archive: Path) -> str:
    found = _sha256(archive)
    if data.sha256 and not checksum.agree(found, data.sha256):
        raise DownloadError(
            f"{archive}: is not the archive of {data.name} (its SHA-256 is {found}, expected {data.sha256}). "
            f"Get it anew from {data.page}."
        )
    return found


def _sha256(archive: Path) -> str:
    try:
        return checksum.of(archive)
    except OSError as error:
        raise DownloadError(f"{archive}: cannot be read: {error.strerror or error}. Check the path.") from error


def _downloaded(data: DataCard, target: Path, progress: Progress) -> Path:
    """The archive, beside the folder it will be unpacked into or in it; one that is there is taken."""
    if not data.urls:
        raise DownloadError(
            f"{data.name}: cannot be downloaded by a program. Get the archive from {data.page}, {_then(data, target)}"
        )
    archive = prepare_folder(workplace(target)) / data.file
    _check_room(data, archive)
    if archive.exists():
        _check_same(data, archive)
        return archive
    problems = []
    for url in data.urls:
        if url != (origin := part_origin(archive)) and origin in data.urls:
            continue  # from another address it would begin anew
        try:
            fetch(url, archive, sha256=data.sha256, size=data.size, exact=True, progress=progress)
            atomic_write(_note_of(archive), _stamp(archive).encode())
            return archive
        except DownloadError as error:
            problems.append(error)
    size = f" ({data.size / 2**30:.1f} GiB)" if data.size else ""
    raise DownloadError(
        f"{problems[0]} By hand: get {data.file}{size} from {data.page}, {_then(data, target)}"
    ) from problems[0]


def _then(data: DataCard, target: Path) -> str:
    """What to do with an archive brought by hand; where names in it change, unpacking it does not do."""
    unpacked = "" if data.rename else f", or unpack it into {target}"
    return f"and run `kizu data fetch {data.name} --archive FILE -o {quoted(target)}`{unpacked}."


def _check_same(data: DataCard, archive: Path) -> None:
    """A file of the archive's name is its owner's: it is used if it is the archive, and never replaced."""
    if data.sha256 and not checksum.agree(_sha256(archive), data.sha256):
        raise OutputError(
            f"{archive}: is in the way, and is not the archive of {data.name} (its SHA-256 is another); "
            "move it, or choose another folder with -o DIR."
        )


def _check_room(data: DataCard, archive: Path) -> None:
    """Tell before gigabytes have come that they will not fit."""
    folder, part = archive.parent, archive.with_name(f"{archive.name}.part")
    here = next((path.stat().st_size for path in (archive, part) if path.is_file()), 0)
    needed = round(_ROOM * (data.size or 0)) - here
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"{folder}: {data.name} takes {needed / 2**30:.1f} GiB while it is unpacked, and {free / 2**30:.1f} GiB "
            "are free; free some, or choose another drive with -o DIR."
        )


def _from_package(data: DataCard, target: Path, progress: Progress) -> None:
    """The solar cells, divided as `kizu demo` does, in the layout of MVTec AD."""
    kinds = ("mono", "poly")
    try:
        cells = {kind: solar_cells(kind) for kind in kinds}  # type: ignore[arg-type]
    except MissingExtraError:
        raise MissingExtraError(
            f"{data.name} comes as a package, which is not installed. Run: {data.package}"
        ) from None
    with new_folder(target, last=(MARK,)) as folder:
        samples = [(folder / kind, sample) for kind in kinds for sample in cells[kind].samples]
        with progress.stage(f"Copying {data.name}", len(samples)) as advance:
            for root, sample in samples:
                place = root / sample.split / sample.defect_type
                place.mkdir(parents=True, exist_ok=True)
                (place / sample.path.name).write_bytes(_content(sample.path))
                advance()
        (folder / MARK).write_text(_mark(data), encoding="utf-8")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}. Install its package again.") from error
