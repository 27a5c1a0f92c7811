"""Names of output files: one an image, none of them twice, and good on every system."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

LONGEST = 80
"""Characters a name has at most; its bytes are bounded too, since file systems count those."""

_BYTES = 180  # of 255: leaves room for a suffix, and for what other programs put behind
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)


def picture_names(paths: Iterable[Path | str]) -> dict[Path, str]:
    """A name, without suffix, for the pictures of each image: no two get the same, whatever their case.

    Where file names alone would collide, every name gets as many folders in front as it takes; files that
    differ in their suffix alone get it at the end. Letters of any script are kept (NFC); what Windows refuses
    is replaced. What is longer than `LONGEST`, or still collides, ends in ``~`` and a hash of its path. The
    same paths get the same names in any order.

    >>> list(picture_names(["test/good/1.png", "test/crack/1.png", "test/crack/傷.png"]).values())
    ['good_1', 'crack_1', 'crack_傷']
    >>> list(picture_names(["部品.png", "部品.jpg", "con.png"]).values())
    ['部品_png', '部品_jpg', '_con']
    """
    unique = list(dict.fromkeys(map(Path, paths)))
    bare = [_key(str(path.parent / path.stem)) for path in unique]
    twins = Counter(bare)
    parts = [_parts(path, twins[key] > 1) for path, key in zip(unique, bare, strict=True)]
    names = [_safe(name) for name in _joined(parts)]
    for digits in (8, 16, 64):
        counts = Counter(map(_key, names))
        names = [
            _hashed(name, path, digits) if counts[_key(name)] > 1 or _too_long(name) else name
            for name, path in zip(names, unique, strict=True)
        ]
    return dict(zip(unique, names, strict=True))


def _key(name: str) -> str:
    """What a file system that ignores case, and the form of accents, takes for the same name."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _parts(path: Path, with_suffix: bool) -> tuple[str, ...]:
    """The folders a path goes through and its stem, the suffix behind it where asked for."""
    folders = [part for part in path.parts[:-1] if part not in (path.anchor, "..")]
    return (*folders, f"{path.stem}_{path.suffix[1:]}" if with_suffix else path.stem)


def _joined(parts: Sequence[tuple[str, ...]]) -> list[str]:
    """Names of the last parts: as few of them as leave the fewest collisions."""
    best: list[str] = []
    fewest = len(parts) + 1
    for depth in range(1, 1 + max(map(len, parts), default=1)):
        names = ["_".join(part[-depth:]) for part in parts]
        collisions = len(names) - len({_key(_safe(name)) for name in names})
        if collisions < fewest:
            best, fewest = names, collisions
        if not collisions:
            break
    return best


def _safe(name: str) -> str:
    """The name as any system takes it: nothing Windows refuses, neither hidden nor like an option."""
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).rstrip(". ").lstrip(" ")
    if not name or name[0] in ".-~" or _RESERVED.match(name):
        return f"_{name}"
    return name


def _too_long(name: str) -> bool:
    return len(name) > LONGEST or len(name.encode()) > _BYTES


def _hashed(name: str, path: Path, digits: int) -> str:
    """The start of the name and a hash of the path, within the bounds."""
    digest = hashlib.sha256(path.as_posix().encode(errors="surrogatepass")).hexdigest()[:digits]
    start = name.rpartition("~")[0] or name
    room = min(LONGEST, _BYTES) - digits - 1
    start = start[:room].encode()[: _BYTES - digits - 1].decode(errors="ignore")
    return f"{start.rstrip('. ')}~{digest}"
