"""An HTML file as PDF, printed by a Chromium that is installed: Chromium itself, Chrome, Edge or Brave."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kizu.errors import MissingExtraError, OutputError
from kizu.files import atomic_write

VARIABLE = "KIZU_CHROMIUM"
"""The environment variable that may name the program."""

TIMEOUT = 300.0
"""Seconds that printing may take."""

_NOTE = b"\n%kizu report\n"
"""What tells kizu's from other PDFs: a comment, which no reader shows."""

_NAMES = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("microsoft-edge", "microsoft-edge-stable", "msedge", "brave-browser", "brave"),
)
_WINDOWS = (
    r"Google\Chrome\Application\chrome.exe",
    r"Microsoft\Edge\Application\msedge.exe",
    r"Chromium\Application\chrome.exe",
    r"BraveSoftware\Brave-Browser\Application\brave.exe",
)
_MACOS = ("Google Chrome", "Chromium", "Microsoft Edge", "Brave Browser")
_WIDTH = 760  # CSS pixels: about what A4 leaves between its margins, so that charts are drawn as wide as printed
_SETTLE = 20_000  # milliseconds of the page's own time for charts to be drawn, which do not pass in real time


def find_chromium(path: str | Path | None = None) -> Path:
    """The program: ``path``, what the environment variable names, or the first one found in the usual places.

    Raises `MissingExtraError` when there is none, or not where it was said to be.
    """
    for said, by in ((path, "--chromium"), (os.environ.get(VARIABLE), VARIABLE)):
        if said:
            found = shutil.which(str(said))
            if found is None:
                raise MissingExtraError(f"{said}: no program that can be run, as {by} says. Check the path.")
            return Path(found)
    for candidate in _candidates():
        if candidate.is_file():
            return candidate
    raise MissingExtraError(
        "a PDF needs Chromium, Chrome or Edge, and none was found. Install one, say where it is with --chromium PATH "
        f"or {VARIABLE}, or open the HTML file in any browser and print it."
    )


def print_pdf(page: Path, target: Path | str, chromium: Path, *, timeout: float = TIMEOUT) -> None:
    """Print the HTML file ``page`` to ``target``, whole or not at all; nothing is loaded from a network.

    Raises:
        OutputError: the program fails, takes longer than ``timeout`` seconds, or ``target`` cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="kizu-pdf-", ignore_cleanup_errors=True) as folder:
        printed = Path(folder, "report.pdf")
        said = _run([str(chromium), *_options(Path(folder), printed), page.resolve().as_uri()], timeout)
        if not printed.is_file() or not printed.stat().st_size:
            raise OutputError(f"{target}: {chromium} printed nothing: {said}. Open the HTML file and print it there.")
        atomic_write(target, printed.read_bytes() + _NOTE)


def is_pdf_of_kizu(path: Path) -> bool:
    """Whether a file ends as `print_pdf` writes them; what cannot be read does not."""
    try:
        return path.read_bytes().endswith(_NOTE)
    except OSError:
        return False


def _options(folder: Path, printed: Path) -> list[str]:
    options = [
        "--headless",
        "--disable-gpu",
        "--no-first-run",
        "--disable-extensions",
        "--disable-background-networking",
        "--disable-dev-shm-usage",  # which is small in containers
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={_WIDTH},1000",
        f"--virtual-time-budget={_SETTLE}",
        "--no-pdf-header-footer",
        f"--print-to-pdf={printed}",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--no-sandbox")  # it cannot be had as root; the page is our own and may load nothing
    return options


def _run(command: list[str], timeout: float) -> str:
    """Run to its end; the last line it said. Raises `OutputError`."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=timeout,
            check=False,
            text=True,
            errors="replace",
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        raise OutputError(
            f"{command[0]} did not print within {timeout:g} s. Run again, or open the HTML file and print it there."
        ) from None
    except OSError as error:
        raise OutputError(
            f"{command[0]} cannot be run: {error.strerror}. Name another with --chromium PATH."
        ) from None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit code {done.returncode}"


def _environment() -> dict[str, str]:
    """Without a session bus, which a factory PC or a container may not have and Chromium waits for."""
    return {**os.environ, "DBUS_SESSION_BUS_ADDRESS": os.environ.get("DBUS_SESSION_BUS_ADDRESS", "disabled:")}


def _candidates() -> Iterator[Path]:
    for name in _NAMES:
        found = shutil.which(name)
        if found:
            yield Path(found)
    if sys.platform == "win32":
        for variable in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"):
            if os.environ.get(variable):
                yield from (Path(os.environ[variable], inner) for inner in _WINDOWS)
    if sys.platform == "darwin":
        for root in (Path("/Applications"), Path.home() / "Applications"):
            yield from (root / f"{name}.app" / "Contents" / "MacOS" / name for name in _MACOS)
