"""How much memory there is, where the system says."""

from __future__ import annotations

from pathlib import Path

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
