"""How much memory there is, where the system says, and sizes as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from kizu.errors import bad_parameter

_MEMINFO = Path("/proc/meminfo")
_MEMBERSHIP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def available() -> int | None:
    """Bytes a program can still take before the system kills one: free memory and swap, or what the
    limit of a container or service (control groups, version 1 and 2) leaves of it. None where the system does not
    say, as on Windows and macOS, which refuse memory that they do not have.
    """
    found = [left for left in (_free(), *map(_left_in_group, _groups())) if left is not None]
    return min(found, default=None)


def _free() -> int | None:
    """Linux: memory that can be had without swapping, and free swap (man 5 proc)."""
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text(encoding="ascii").splitlines())
        return sum(int(lines[key].split()[0]) * 1024 for key in ("MemAvailable", "SwapFree"))
    except (OSError, ValueError, LookupError):
        return None


def _groups() -> Iterator[Path]:
    """The control groups that bound this program: its own and those around it (man 7 cgroups). A container may show
    another part of the tree than ``/proc`` names; its limit is then at the root.
    """
    try:
        lines = [line.split(":", 2) for line in _MEMBERSHIP.read_text(encoding="utf-8").splitlines()]
        paths = {kind: path for _, kinds, path in lines for kind in kinds.split(",")}
    except (OSError, ValueError):
        paths = {}
    for kind, root in (("", _GROUPS), ("memory", _GROUPS / "memory")):  # version 2 has no kinds
        own = root / paths.get(kind, "").strip("/")
        yield from (group for group in (own, *own.parents) if group.is_relative_to(root))


def _left_in_group(group: Path) -> int | None:
    """What a control group still allows; file caches it would give up count as free."""
    for limit, used, *caches in _FILES:
        try:
            bounds = [int((group / name).read_text(encoding="ascii")) for name in (limit, used)]
            fields = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
            return bounds[0] - bounds[1] + sum(int(fields.get(kind, 0)) for kind in caches)
        except (OSError, ValueError, LookupError):  # no such group, or no limit: the word max
            continue
    return None


_FILES = (
    ("memory.max", "memory.current", "inactive_file", "active_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", "total_active_file"),
)
"""Of each version the files of a group that hold its limit and what it uses, and in its ``memory.stat``
the file caches: those read more than once (active) are given up before a program is killed, too.
"""


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
