"""Downloads against a real server: whole and checked or not at all, and going on where they stopped."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest

from downloads.serving import Site, serving
from kizu.downloads import _fetch, _http
from kizu.errors import DownloadError, OutputError

CONTENT = np.random.default_rng(0).bytes(700_001)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = np.random.default_rng(1).bytes(700_001)


class Recorder:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int, str]] = []
        self.steps: list[int] = []

    @contextmanager
    def stage(self, description: str, total: int, *, unit: str = "") -> Iterator[Any]:
        self.stages.append((description, total, unit))

        def advance(steps: int = 1, /) -> None:
            self.steps.append(steps)

        yield advance


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site(CONTENT)) as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """In a folder that is not there yet."""
    return tmp_path / "重み" / "net.pth"


def left(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def broken_off(site: Site, target: Path, after: int) -> None:
    """A download that stops after so many bytes."""
    site.cut = after
    with pytest.raises(DownloadError, match="run again: it goes on where it stopped"):
        _fetch.fetch(site.url, target, sha256=SHA256)
    site.requests.clear()


@pytest.mark.parametrize("digits", [8, 64])
def test_whole(site: Site, target: Path, digits: int) -> None:
    progress = Recorder()
    assert _fetch.fetch(site.url, target, sha256=SHA256[:digits], progress=progress) == target
    assert target.read_bytes() == CONTENT
    assert left(target) == ["net.pth"]
    assert progress.stages == [("Downloading net.pth", len(CONTENT), "bytes")]
    assert sum(progress.steps) == len(CONTENT)
    assert len(progress.steps) > 3
    assert site.starts() == [""]
    assert site.requests[0]["User-Agent"].startswith("kizu/")


def test_what_is_here_already_is_left_alone(site: Site, target: Path) -> None:
    _fetch.fetch(site.url, target, sha256=SHA256)
    _fetch.fetch(site.url, target, sha256=SHA256)
    assert len(site.requests) == 1


def test_a_wrong_file_in_its_place_is_replaced(site: Site, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    _fetch.fetch(site.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT


def test_a_length_the_server_does_not_say(target: Path) -> None:
    progress = Recorder()
    with serving(Site(CONTENT, chunked=True)) as site:
        _fetch.fetch(site.url, target, sha256=SHA256, size=700_000, progress=progress)
    assert progress.stages[0][1] == 700_000
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("after", [1, 300_000, 700_000])
@pytest.mark.parametrize("validator", [{}, {"etag": "", "modified": "Sat, 01 Mar 2025 00:00:00 GMT"}, {"etag": ""}])
def test_going_on_where_it_stopped(target: Path, after: int, validator: dict[str, str]) -> None:
    progress = Recorder()
    with serving(Site(CONTENT, **validator)) as site:
        broken_off(site, target, after)
        assert not target.exists()
        assert (target.parent / "net.pth.part").read_bytes() == CONTENT[:after]
        _fetch.fetch(site.url, target, sha256=SHA256, progress=progress)
        assert site.starts() == [f"bytes={after}-"]
        assert site.requests[0].get("If-Range", "") == (site.etag or site.modified)
    assert target.read_bytes() == CONTENT
    assert left(target) == ["net.pth"]
    assert (progress.stages[0][1], sum(progress.steps), progress.steps[0]) == (len(CONTENT), len(CONTENT), after)


def test_a_chunked_one_that_breaks(target: Path) -> None:
    with serving(Site(CONTENT, chunked=True)) as site:
        broken_off(site, target, 300_000)
        _fetch.fetch(site.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT


def test_a_weak_etag_is_not_used(site: Site, target: Path) -> None:
    site.etag = 'W/"first"'
    broken_off(site, target, 1000)
    _fetch.fetch(site.url, target, sha256=SHA256)
    assert "If-Range" not in site.requests[0]
    assert target.read_bytes() == CONTENT


def test_beginning_anew_where_the_server_knows_no_ranges(target: Path) -> None:
    with serving(Site(CONTENT, ranges=False)) as site:
        broken_off(site, target, 300_000)
        _fetch.fetch(site.url, target, sha256=SHA256)
        assert site.starts() == ["bytes=300000-"]
    assert target.read_bytes() == CONTENT


def test_beginning_anew_where_the_file_has_changed(target: Path) -> None:
    with serving(Site(OTHER, etag='"older"')) as site:
        broken_off(site, target, 300_000)
        site.content, site.etag = CONTENT, '"newer"'
        _fetch.fetch(site.url, target, sha256=SHA256)
        assert len(site.requests) == 1
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(("etag", "requests"), [('"first"', 1), ("", 2)])
def test_a_page_in_its_place_does_not_replace_what_has_come(
    site: Site, target: Path, etag: str, requests: int
) -> None:
    """Without an ETag the server says first that its page is not as long as the part."""
    site.etag = etag
    broken_off(site, target, 300_000)
    site.content, site.etag = b"<html>please log in</html>", etag and '"page"'
    with pytest.raises(
        DownloadError, match=r"the server sends 26 bytes, 700001 bytes are published\. What has come so far"
    ):
        _fetch.fetch(site.url, target, sha256=SHA256, size=len(CONTENT), exact=True)
    assert len(site.requests) == requests
    assert (target.parent / "net.pth.part").read_bytes() == CONTENT[:300_000]


@pytest.mark.parametrize("how", ["chunked", "closing"])
def test_nothing_of_unknown_length_replaces_what_has_come(site: Site, target: Path, how: str) -> None:
    broken_off(site, target, 300_000)
    site.content, site.etag = b"please log in, now", '"page"'
    setattr(site, how, True)
    with pytest.raises(DownloadError, match=r"does not say how much it sends, 700001 bytes are published\. What has"):
        _fetch.fetch(site.url, target, sha256=SHA256, size=len(CONTENT), exact=True)
    assert (target.parent / "net.pth.part").read_bytes() == CONTENT[:300_000]


@pytest.mark.parametrize("how", ["chunked", "closing"])
def test_an_end_too_early_keeps_what_has_come(target: Path, how: str) -> None:
    """The first time by closing the connection; the second time the server takes half of the rest for all of it."""
    with serving(Site(CONTENT, closing=True, cut=300_000)) as site:
        with pytest.raises(DownloadError, match=r"broke after 300000 of 700001 bytes.*goes on where it stopped"):
            _fetch.fetch(site.url, target, sha256=SHA256, size=len(CONTENT), exact=True)
        site.content, site.closing = CONTENT[:500_000], False
        setattr(site, how, True)
        with pytest.raises(DownloadError, match="broke after 500000 of 700001 bytes"):
            _fetch.fetch(site.url, target, sha256=SHA256, size=len(CONTENT), exact=True)
        site.content = CONTENT
        _fetch.fetch(site.url, target, sha256=SHA256, size=len(CONTENT), exact=True)
        assert site.starts() == ["", "bytes=300000-", "bytes=500000-"]
    assert target.read_bytes() == CONTENT


def test_a_page_that_comes_first_is_not_gone_on_with(target: Path) -> None:
    page = Site(b"please log in, now", chunked=True)
    with serving(page) as site, pytest.raises(DownloadError, match="is not the expected file"):
        _fetch.fetch(site.url, target, sha256=SHA256, size=len(CONTENT), exact=True)
    assert left(target) == []


def test_a_part_of_no_use_is_replaced_by_what_has_no_length(target: Path) -> None:
    target.parent.mkdir()
    (target.parent / "net.pth.part").write_bytes(OTHER)
    with serving(Site(CONTENT, chunked=True)) as site:
        _fetch.fetch(site.url, target, sha256=SHA256, size=len(CONTENT), exact=True)
    assert target.read_bytes() == CONTENT


def test_a_size_that_is_not_exact_refuses_nothing(site: Site, target: Path) -> None:
    site.ranges = False
    broken_off(site, target, 300_000)
    _fetch.fetch(site.url, target, sha256=SHA256, size=700_000)
    assert target.read_bytes() == CONTENT


def test_where_a_part_is_from(site: Site, target: Path) -> None:
    assert _fetch.part_origin(target) == ""
    broken_off(site, target, 300_000)
    assert _fetch.part_origin(target) == site.url
    _fetch.fetch(site.url, target, sha256=SHA256)
    assert _fetch.part_origin(target) == ""


def test_a_part_of_another_file_is_found_by_the_checksum(target: Path) -> None:
    with serving(Site(OTHER, etag="")) as site:
        broken_off(site, target, 300_000)
        site.content = CONTENT
        with pytest.raises(DownloadError, match="what was downloaded is not the expected file"):
            _fetch.fetch(site.url, target, sha256=SHA256)
        assert left(target) == []
        _fetch.fetch(site.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT


def test_a_range_from_another_place(site: Site, target: Path) -> None:
    broken_off(site, target, 300_000)
    site.wrong_start = 100
    _fetch.fetch(site.url, target, sha256=SHA256)
    assert site.starts() == ["bytes=300000-", ""]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"too much"])
def test_a_part_as_long_as_the_file_or_longer(site: Site, target: Path, part: bytes) -> None:
    target.parent.mkdir()
    (target.parent / "net.pth.part").write_bytes(part)
    _fetch.fetch(site.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert left(target) == ["net.pth"]
    assert len(site.requests) == (1 if part == CONTENT else 2)


def test_a_wrong_checksum(site: Site, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    with pytest.raises(
        DownloadError, match=rf"is not the expected file \(its SHA-256 is {SHA256}, expected 0{{64}}\)"
    ):
        _fetch.fetch(site.url, target, sha256="0" * 64)
    assert left(target) == ["net.pth"]
    assert target.read_bytes() == b"old"


def test_too_short_a_checksum(site: Site, target: Path) -> None:
    with pytest.raises(ValueError, match="too short for a checksum"):
        _fetch.fetch(site.url, target, sha256="")


def test_without_a_checksum(site: Site, target: Path) -> None:
    _fetch.fetch(site.url, target, sha256=None)
    assert target.read_bytes() == CONTENT
    _fetch.fetch(site.url, target, sha256=None)
    assert len(site.requests) == 1


def test_without_a_checksum_it_goes_on_where_it_stopped(site: Site, target: Path) -> None:
    site.cut = 300_000
    with pytest.raises(DownloadError, match="goes on where it stopped"):
        _fetch.fetch(site.url, target, sha256=None)
    assert not target.exists()
    _fetch.fetch(site.url, target, sha256=None)
    assert site.starts() == ["", "bytes=300000-"]
    assert target.read_bytes() == CONTENT


def test_without_a_checksum_a_part_as_long_as_the_file_is_fetched_anew(site: Site, target: Path) -> None:
    target.parent.mkdir()
    (target.parent / "net.pth.part").write_bytes(OTHER)
    _fetch.fetch(site.url, target, sha256=None)
    assert site.starts() == [f"bytes={len(OTHER)}-", ""]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (403, "403 Forbidden"), (503, "503 Service")])
def test_a_server_that_refuses(site: Site, target: Path, status: int, words: str) -> None:
    site.status = status
    with pytest.raises(
        DownloadError, match=rf"net\.pth: cannot be downloaded: the server says {words}.*\. Try later"
    ):
        _fetch.fetch(site.url, target, sha256=SHA256)
    assert left(target) == []


def test_no_server(target: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(DownloadError, match=r"cannot be downloaded: Connection refused\. Check the network"):
        _fetch.fetch(f"http://127.0.0.1:{port}/net.pth", target, sha256=SHA256)


def test_no_name(target: Path) -> None:
    with pytest.raises(DownloadError, match="there is no network, or no server of that name"):
        _fetch.fetch("http://no-such-host.invalid/net.pth", target, sha256=SHA256)


def test_a_server_that_says_nothing(site: Site, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.silent = True
    monkeypatch.setattr(_fetch, "TIMEOUT", 0.2)
    with pytest.raises(DownloadError, match="cannot be downloaded: the server does not answer"):
        _fetch.fetch(site.url, target, sha256=SHA256)


def test_a_server_that_speaks_something_else(target: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"220 mail ready\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(DownloadError, match=r"cannot be downloaded: 220 mail ready\. Check the network"):
            _fetch.fetch(f"http://127.0.0.1:{server.getsockname()[1]}/net.pth", target, sha256=SHA256)
        thread.join()


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://example.org/net.pth", "net.pth"])
def test_only_http(url: str, target: Path) -> None:
    with pytest.raises(DownloadError, match="only http and https addresses"):
        _fetch.fetch(url, target, sha256=SHA256)


@pytest.mark.parametrize("url", ["http://", "http://127.0.0.1:port/net.pth", "http://a b/net.pth"])
def test_an_address_that_is_none(url: str, target: Path) -> None:
    with pytest.raises(DownloadError, match="cannot be downloaded: "):
        _fetch.fetch(url, target, sha256=SHA256)


def test_sent_on(site: Site, target: Path) -> None:
    with serving(Site(b"", location=site.url)) as first:
        _fetch.fetch(first.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT


def test_sent_on_to_a_file_of_this_machine(target: Path) -> None:
    with serving(Site(b"", location="file:///etc/hostname")) as site, pytest.raises(DownloadError, match="cannot be"):
        _fetch.fetch(site.url, target, sha256=SHA256)


def test_sent_on_in_a_circle(target: Path) -> None:
    with serving(Site(b"")) as site:
        site.location = site.url
        with pytest.raises(DownloadError, match="the server says 302 The HTTP server returned a redirect") as raised:
            _fetch.fetch(site.url, target, sha256=SHA256)
    assert str(raised.value).endswith("error message was: Found. Try later, or from another network.")
    assert "\n" not in str(raised.value)


def test_never_sent_on_from_https_to_http() -> None:
    handler = _http.NoDowngrade()
    request = urllib.request.Request("https://example.org/net.pth")
    with pytest.raises(URLError, match="which is not encrypted"):
        handler.redirect_request(request, None, 302, "", {}, "http://example.org/net.pth")
    assert handler.redirect_request(request, None, 302, "", {}, "https://example.com/net.pth")


def test_a_proxy_is_used(site: Site, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site.url.removesuffix("/net.pth"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    _fetch.fetch("http://no-such-host.invalid/net.pth", target, sha256=SHA256)
    assert target.read_bytes() == CONTENT


def test_no_folder_can_be_made(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="choose another"):
        _fetch.fetch(site.url, tmp_path / "file" / "net.pth", sha256=SHA256)
    assert site.requests == []


def test_a_folder_in_its_place(site: Site, target: Path) -> None:
    target.mkdir(parents=True)
    with pytest.raises(OutputError, match="is a folder; give the name of a file in it"):
        _fetch.fetch(site.url, target, sha256=SHA256)


LIMITED = """
import resource, sys
from pathlib import Path
from kizu.downloads import _fetch
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    _fetch.fetch(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3])
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


def test_a_full_disk(site: Site, target: Path) -> None:
    command = [sys.executable, "-X", "utf8", "-c", LIMITED, site.url, str(target), SHA256]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, env=os.environ)
    assert done.stdout == (
        f"OutputError: {target}.part: cannot be written: no space left on the drive; free some and run again.\n"
    )
    assert not target.exists()
    kept = (target.parent / "net.pth.part").stat().st_size
    assert 0 < kept <= 300_000
    site.requests.clear()
    _fetch.fetch(site.url, target, sha256=SHA256)  # there is room again
    assert site.starts() == [f"bytes={kept}-"]
    assert target.read_bytes() == CONTENT


INTERRUPTED = """
import sys
from contextlib import contextmanager
from pathlib import Path
from kizu.downloads import _fetch

class Impatient:
    @contextmanager
    def stage(self, description, total, *, unit=""):
        def advance(steps=1, /):
            if steps:
                raise KeyboardInterrupt
        yield advance

_fetch.fetch(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3], progress=Impatient())
"""


def test_an_interrupted_one_goes_on(site: Site, target: Path) -> None:
    command = [sys.executable, "-X", "utf8", "-c", INTERRUPTED, site.url, str(target), SHA256]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert "KeyboardInterrupt" in done.stderr
    assert not target.exists()
    kept = (target.parent / "net.pth.part").stat().st_size
    site.requests.clear()
    _fetch.fetch(site.url, target, sha256=SHA256)
    assert site.starts() == [f"bytes={kept}-"]
    assert target.read_bytes() == CONTENT


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_two_at_once(site: Site, target: Path) -> None:
    class Nosy(Recorder):
        @contextmanager
        def stage(self, description: str, total: int, *, unit: str = "") -> Iterator[Any]:
            with pytest.raises(DownloadError, match=r"net\.pth: is being downloaded by another kizu\. Wait for that"):
                _fetch.fetch(site.url, target, sha256=SHA256)
            yield lambda steps=1: None

    _fetch.fetch(site.url, target, sha256=SHA256, progress=Nosy())
    assert target.read_bytes() == CONTENT
    assert left(target) == ["net.pth"]
