"""A list of images: CSV with a first line of column names, or JSONL with an object a line.

=========  ================================================================================
column     meaning
=========  ================================================================================
``path``   the image; relative paths start at the list's folder
``label``  ``good`` (also ok, 0, 良品), ``bad`` (also ng, 1, 不良, 不良品), or a type of defect
``split``  ``train``, ``calibration`` or ``test``
``mask``   the mask, if there is one
=========  ================================================================================

Only ``path`` is needed. What a line leaves open is filled in: without ``split``, good images are for training
and bad ones for testing; without ``label``, an image with a mask is bad, others in the train and calibration
splits are good, and others in the test split stay without label. A list of paths alone is one of good images.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from kizu.datasets._folders import some
from kizu.datasets._sample import Dataset, Label, Sample, Split, what_it_means
from kizu.errors import DataError, unknown_name
from kizu.wording import Wording

LAYOUT = "list"
SUFFIXES = (".csv", ".jsonl")
COLUMNS = ("path", "label", "split", "mask")
_SPLITS = ("train", "calibration", "test")

Row = Mapping[str, str]


def load(path: Path) -> Dataset:
    """Read a list; raises `DataError` that names the file and line."""
    text = _read(path)
    rows = list(_csv_rows(path, text) if path.suffix.lower() == ".csv" else _json_rows(path, text))
    if not rows:
        raise DataError(f"{path}: the list names no image; give a line for each, with its `path`")
    all_good = not any(row.get("label") or row.get("split") or row.get("mask") for _, row in rows)
    samples = [_sample(path, line, row, all_good) for line, row in rows]
    _check_unique(path, [line for line, _ in rows], samples)
    samples.sort(key=lambda sample: (_SPLITS.index(sample.split), sample.label != "good", sample.defect_type))
    return Dataset(path, LAYOUT, tuple(samples), _remarks(samples))


def may_be_one(path: Path) -> bool:
    """Whether a file of such a suffix is meant as a list: not where a first line has names, but no ``path``."""
    try:
        header = next(csv.reader(io.StringIO(_read(path)), skipinitialspace=True), [])
    except (DataError, csv.Error):
        return True  # to load it says what is wrong
    return path.suffix.lower() != ".csv" or not header or "path" in [name.strip().lower() for name in header]


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text; save it as UTF-8 (in Excel: 'CSV UTF-8')") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions and drive") from None


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, Row]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    try:
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        _check_columns(f"{path}:1", names)
        reader.fieldnames = names
        for row in reader:
            if None in row:
                raise DataError(f"{path}:{reader.line_num}: more values than columns; quote those with commas")
            yield reader.line_num, {name: (value or "").strip() for name, value in row.items()}
    except csv.Error as error:
        raise DataError(f"{path}:{reader.reader.line_num}: not CSV ({error}); check the quotes") from None


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}:{number}: not JSON ({error}); write one object a line") from None
        if not isinstance(entry, dict):
            raise DataError(f"{path}:{number}: not a JSON object; write " + '{"path": "a.png"}')
        _check_columns(f"{path}:{number}", list(entry))
        yield number, {name: _text(f"{path}:{number}", name, value) for name, value in entry.items()}


def _text(where: str, name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise DataError(f'{where}: `{name}` is {json.dumps(value)}; write text, as "good"')
    return str(value).strip()


def _check_columns(where: str, names: list[str]) -> None:
    for name in names:
        if name not in COLUMNS:
            raise DataError(f"{where}: {unknown_name('column', name, COLUMNS)} Rename it or take it out.")
        if names.count(name) > 1:
            raise DataError(f"{where}: the column `{name}` comes twice; take one out")
    if "path" not in names:
        raise DataError(f"{where}: there is no column `path`; name the columns, as 'path,label,split,mask'")


def _sample(path: Path, line: int, row: Row, all_good: bool) -> Sample:
    where = f"{path}:{line}"
    if not row.get("path"):
        raise DataError(f"{where}: `path` is empty; name the image, or take the line out")
    image = _file(where, path.parent / row["path"], "image")
    mask = _file(where, path.parent / row["mask"], "mask") if row.get("mask") else None
    split = row.get("split", "").lower()
    if split and split not in _SPLITS:
        raise DataError(f"{where}: {unknown_name('split', split, _SPLITS)}")
    label, defect_type = _label(where, row.get("label", ""), "train" if all_good else split, mask)
    split = split or ("train" if label == "good" else "test")
    return Sample(image, cast(Split, split), label, defect_type, mask)


def _label(where: str, word: str, split: str, mask: Path | None) -> tuple[Label | None, str]:
    if word:
        return what_it_means(word)
    if mask is not None:
        return "bad", "bad"
    if split in ("train", "calibration"):
        return "good", "good"
    if split == "test":
        return None, ""
    raise DataError(f"{where}: neither `label` nor `split` is given; say whether it is good, or which split")


def _file(where: str, path: Path, what: str) -> Path:
    try:
        found = path.is_file()
    except (OSError, ValueError):
        found = False
    if not found:
        raise DataError(f"{where}: no such {what}: {path}; paths are relative to the list's folder")
    return path


def _check_unique(path: Path, lines: list[int], samples: list[Sample]) -> None:
    seen: dict[Path, int] = {}
    for line, sample in zip(lines, samples, strict=True):
        first = seen.setdefault(sample.path.resolve(), line)
        if first != line:
            raise DataError(f"{path}:{line}: the same image as in line {first}; take one of the two out")


def _remarks(samples: list[Sample]) -> tuple[Wording, ...]:
    bad = [sample.path.name for sample in samples if sample.label == "bad" and sample.split != "test"]
    return (Wording("bad_outside_test", {"names": some(bad)}),) if bad else ()
