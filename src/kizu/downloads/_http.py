"""What urllib leaves open: which addresses are followed, what a response's headers say, errors in words."""

from __future__ import annotations

import re
import socket
import urllib.request
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit


class NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but none from https to anything else."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise URLError(f"the server sends us on to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def opener() -> urllib.request.OpenerDirector:
    """Speaks HTTP and HTTPS, through the environment's proxies; no ``file:``, no ``ftp:``."""
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        NoDowngrade,
    ):
        director.add_handler(handler())
    return director


def length(response: Any) -> int | None:
    """Bytes the server is about to send, where it says so."""
    said = response.headers.get("Content-Length", "")
    return int(said) if said.isascii() and said.isdigit() else None


def range_start(response: Any) -> int | None:
    """Where in the file the bytes of a 206 begin."""
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def validator(response: Any) -> str:
    """What ``If-Range`` takes: a strong ETag, or else a date."""
    tag = str(response.headers.get("ETag", ""))
    return tag if tag.startswith('"') else str(response.headers.get("Last-Modified", ""))


def reason(problem: object) -> str:
    """In words, on one line."""
    if isinstance(problem, URLError):
        problem = problem.reason
    if isinstance(problem, TimeoutError):
        return "the server does not answer"
    if isinstance(problem, socket.gaierror):
        return "there is no network, or no server of that name"
    if isinstance(problem, OSError):
        problem = problem.strerror or problem
    return " ".join((str(problem) or type(problem).__name__).split()).rstrip(".")
