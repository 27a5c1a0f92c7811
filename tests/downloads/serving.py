"""A web server in a thread, that behaves as well or badly as a test wants."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ETAG = '"first"'


@dataclass
class Site:
    """One file, ``content``, at any path; every request's headers are kept in ``requests``.

    ``ranges``: whether it knows them; ``cut``: after how many bytes it breaks off; ``wrong_start``: answers a range
    from another place; ``status``: refuses everything; ``location``: sends on; ``chunked``: does not say the length;
    ``closing``: nor where it ends, other than by closing the connection.
    """

    content: bytes
    etag: str = ETAG
    modified: str = ""
    ranges: bool = True
    cut: int | None = None
    wrong_start: int | None = None
    status: int = 200
    location: str = ""
    chunked: bool = False
    closing: bool = False
    silent: bool = False
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    def starts(self) -> list[str]:
        """The ranges asked for, "" for the whole."""
        return [request.get("Range", "") for request in self.requests]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is part of what is tested."""


class _Handler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        site = self.site
        site.requests.append({name.title(): value for name, value in self.headers.items()})
        if site.silent:
            site.released.wait(30)
            self.close_connection = True
        elif site.location:
            self._head(302, 0, {"Location": site.location})
        elif site.status != 200:
            self._head(site.status, 0)
        else:
            self._send()

    def _send(self) -> None:
        site, total = self.site, len(self.site.content)
        start = self._start()
        if start is not None and start >= total:
            self._head(416, 0, {"Content-Range": f"bytes */{total}"})
            return
        if start is None:
            body = site.content
            self._head(200, self._said(total))
        else:
            start = start if site.wrong_start is None else site.wrong_start
            body = site.content[start:]
            self._head(206, self._said(len(body)), {"Content-Range": f"bytes {start}-{total - 1}/{total}"})
        self._body(body)

    def _body(self, body: bytes) -> None:
        cut, self.site.cut = self.site.cut, None
        sent = body if cut is None else body[:cut]
        if self.site.chunked:
            sent = b"%x\r\n%s\r\n" % (len(sent), sent) + (b"0\r\n\r\n" if cut is None else b"")
        self.wfile.write(sent)
        self.close_connection = cut is not None or self.site.closing

    def _said(self, length: int) -> int | None:
        return None if self.site.chunked or self.site.closing else length

    def _start(self) -> int | None:
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if not asked or not self.site.ranges or (condition and condition not in (self.site.etag, self.site.modified)):
            return None
        return int(asked.removeprefix("bytes=").rstrip("-"))

    def _head(self, status: int, length: int | None, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        fields = {"ETag": self.site.etag, "Last-Modified": self.site.modified} if status in (200, 206) else {}
        unsaid = {"Connection": "close"} if self.site.closing else {"Transfer-Encoding": "chunked"}
        how = unsaid if length is None else {"Content-Length": str(length)}
        for name, value in {**fields, **how, **(more or {})}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """``site`` on a free port of this machine; ``site.url`` is its file."""
    handler = type("Handler", (_Handler,), {"site": site})
    with _Server(("127.0.0.1", 0), handler) as server:
        site.url = f"http://127.0.0.1:{server.server_address[1]}/net.pth"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield site
        finally:
            site.released.set()
            server.shutdown()
            thread.join()
