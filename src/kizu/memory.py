"""How much memory there is, where the system says, and sizes as people write them."""

from __future__ import annotations

import re
from pathlib import Path

from kizu.errors import bad_parameter

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def available() -> int | None:
    """Bytes a program can still take before the system kills one: free memory and swap, or what a container's limit
    (control group, version 2) leaves of it. None where the system does not say, as on Windows and macOS, which
    refuse memory that they do not have.
    """
    found = [left for left in (_free(), _left_in_group()) if left is not None]
    return min(found, default=None)


def _free() -> int | None:
    """Linux: memory that can be had without swapping, and free swap (man 5 proc)."""
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text(encoding="ascii").splitlines())
        return sum(int(lines[key].split()[0]) * 1024 for key in ("MemAvailable", "SwapFree"))
    except (OSError, ValueError, LookupError):
        return None


def _left_in_group() -> int | None:
    """What the control group still allows; file caches it would give up count as free."""
    try:
        limit, used = (int((_GROUP / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
        fields = dict(line.split() for line in (_GROUP / "memory.stat").read_text(encoding="ascii").splitlines())
        return limit - used + int(fields["inactive_file"])
    except (OSError, ValueError, LookupError):  # no such group, or no limit: the word max
        return None


_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def parse_size(text: str) -> int:
    """Bytes of a size as people write it.

    >>> parse_size("2GB"), parse_size("1.5 GiB"), parse_size("500mb")
    (2000000000, 1610612736, 500000000)

    Raises `ParameterError` for anything else.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text, re.ASCII)
    size = float(found[1]) * _UNITS.get(found[2].upper(), 0) if found else 0
    if not 1 <= size < 2**63:
        raise bad_parameter("memory", "a size such as 2GB, 500MB or 1.5GiB", text)
    return int(size)


def size_text(size: int) -> str:
    """``size`` bytes as people write it, rounded up to two digits.

    >>> size_text(1_234_000_000), size_text(640_000_000)
    ('1.3GB', '640MB')
    """
    unit = "GB" if size >= 10**9 else "MB"
    step = _UNITS[unit] // 10 if size < 10 * _UNITS[unit] else _UNITS[unit]
    return f"{-(-size // step) * step / _UNITS[unit]:g}{unit}"


def mebibytes(size: int) -> str:
    """``size`` bytes of a file.

    >>> mebibytes(13_300_000)
    '12.7 MiB'
    """
    return f"{size / 2**20:.1f} MiB"
