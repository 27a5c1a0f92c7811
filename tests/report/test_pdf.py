"""Finding a Chromium and running it; that its PDF is good is in tests/browser."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kizu.errors import MissingExtraError, OutputError
from kizu.report import pdf

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")


def program(path: Path, body: str = "exit 0") -> Path:
    """A shell script in a Chromium's place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system without any browser: an empty PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv(pdf.VARIABLE, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    return folder


@pytest.mark.parametrize("name", ["chromium", "google-chrome", "microsoft-edge"])
def test_it_is_found_on_the_path(bare: Path, name: str) -> None:
    there = program(bare / name)
    assert pdf.find_chromium() == there


def test_what_is_said_goes_first(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bare / "chromium")
    by_variable, by_option = program(tmp_path / "variable"), program(tmp_path / "option")
    monkeypatch.setenv(pdf.VARIABLE, str(by_variable))
    assert pdf.find_chromium() == by_variable
    assert pdf.find_chromium(by_option) == by_option
    monkeypatch.setenv(pdf.VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(MissingExtraError, match=r"gone: no program that can be run, as KIZU_CHROMIUM says\."):
        pdf.find_chromium()


def test_usual_places_of_windows_and_macos(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    for variable in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    edge = tmp_path / "PROGRAMFILES(X86)" / r"Microsoft\Edge\Application\msedge.exe"
    edge.parent.mkdir(parents=True)
    edge.touch()
    assert pdf.find_chromium() == edge
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    chrome = tmp_path / "Applications" / "Google Chrome.app" / "Contents" / "MacOS" / "Google Chrome"
    chrome.parent.mkdir(parents=True)
    chrome.touch()
    assert pdf.find_chromium() in (chrome, Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"))


def test_none_is_found(bare: Path) -> None:
    with pytest.raises(MissingExtraError, match=r"needs Chromium, Chrome or Edge.*--chromium PATH or KIZU_CHROMIUM"):
        pdf.find_chromium()


def page(folder: Path) -> Path:
    path = folder / "ページ.html"
    path.write_text("<p>hello</p>", encoding="utf-8")
    return path


def test_it_is_asked_to_print_without_a_network(tmp_path: Path) -> None:
    body = 'for a in "$@"; do case $a in --print-to-pdf=*) printf "%s\\n" "$@" > "${a#*=}";; esac; done'
    pdf.print_pdf(page(tmp_path), tmp_path / "r.pdf", program(tmp_path / "chromium", body))
    options = (tmp_path / "r.pdf").read_text().splitlines()
    assert "--headless" in options
    assert "--disable-background-networking" in options
    assert options[-3:] == [page(tmp_path).as_uri(), "", "%kizu report"]
    assert pdf.is_pdf_of_kizu(tmp_path / "r.pdf")
    assert not pdf.is_pdf_of_kizu(page(tmp_path))
    assert any(option.startswith("--user-data-dir=") for option in options)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo first >&2; echo cannot open display >&2; exit 1", "printed nothing: cannot open display"),
        ("exit 21", "printed nothing: exit code 21"),
        ("sleep 30", r"did not print within 0\.3 s"),
    ],
)
def test_when_it_fails_the_old_pdf_stays(tmp_path: Path, body: str, said: str) -> None:
    target = tmp_path / "r.pdf"
    target.write_text("old")
    with pytest.raises(OutputError, match=said):
        pdf.print_pdf(
            page(tmp_path), target, program(tmp_path / "chromium", body), timeout=0.3 if "30" in body else 20
        )
    assert target.read_text() == "old"


def test_something_that_does_not_run(tmp_path: Path) -> None:
    broken = tmp_path / "chromium"
    broken.write_bytes(b"\x00\x01")
    broken.chmod(0o755)
    with pytest.raises(OutputError, match=r"cannot be run: .*\. Name another with --chromium PATH\."):
        pdf.print_pdf(page(tmp_path), tmp_path / "r.pdf", broken)
