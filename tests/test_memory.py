"""What the system says of its memory, read from files as Linux writes them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kizu import memory

MEMINFO = "MemTotal:  4000 kB\nMemFree:  100 kB\nMemAvailable:  3000 kB\nSwapTotal: 0 kB\nSwapFree:  500 kB\n"


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_MEMBERSHIP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    return tmp_path


def limit(folder: Path, limit: str, used: int, cached: int) -> None:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")


def test_free_memory_and_swap(system: Path) -> None:
    (system / "meminfo").write_text(MEMINFO)
    assert memory.available() == 3500 * 1024
    limit(system, "max", 5, 1)
    assert memory.available() == 3500 * 1024


def test_a_containers_limit_counts_where_it_is_narrower(system: Path) -> None:
    limit(system, "1000000", 600_000, 50_000)
    assert memory.available() == 450_000
    (system / "meminfo").write_text(MEMINFO)
    assert memory.available() == 450_000
    limit(system, "100000000", 600_000, 50_000)
    assert memory.available() == 3500 * 1024


def test_a_services_own_limit_counts_and_those_around_it(system: Path) -> None:
    (system / "cgroup").write_text("0::/system.slice/line:1.service\n")
    service = system / "system.slice" / "line:1.service"
    service.mkdir(parents=True)
    limit(service, "1000000", 600_000, 50_000)
    limit(service.parent, "max", 600_000, 50_000)
    assert memory.available() == 450_000
    limit(service.parent, "900000", 600_000, 50_000)
    assert memory.available() == 350_000


def test_files_read_more_than_once_are_given_up_too(system: Path) -> None:
    limit(system, "1000000", 900_000, 50_000)
    with (system / "memory.stat").open("a") as file:
        file.write("active_file 600000\n")
    assert memory.available() == 750_000


@pytest.mark.parametrize("path", ["/", "/docker/8477", "/elsewhere/than/shown"])
def test_limits_of_version_1(system: Path, path: str) -> None:
    (system / "cgroup").write_text(f"9:name=systemd:/x\n4:cpu,memory:{path}\n0::/\n")
    group = system / "memory" / ("docker/8477" if "docker" in path else "")
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text("1000000\n")
    (group / "memory.usage_in_bytes").write_text("600000\n")
    (group / "memory.stat").write_text("inactive_file 5\ntotal_inactive_file 50000\n")
    assert memory.available() == 450_000


@pytest.mark.parametrize("content", ["", "MemFree: 5 kB\n", "MemAvailable: much\nSwapFree: 0 kB\n", "no colon\n"])
def test_a_system_that_does_not_say(system: Path, content: str) -> None:
    assert memory.available() is None
    (system / "meminfo").write_text(content)
    assert memory.available() is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not say")
def test_here() -> None:
    found = memory.available()
    assert found is not None
    assert 2**20 < found < 2**50
