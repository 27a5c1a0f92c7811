"""The report in a real browser that has no network: what people see and do."""

from __future__ import annotations

import json
import re
import time
import zlib
from itertools import pairwise
from pathlib import Path

import pytest

from browser.devtools import Page
from kizu.errors import ImageError
from kizu.report.html import LANGUAGES, ReportContent, coco_text, render
from kizu.report.pdf import is_pdf_of_kizu, print_pdf
from report.html.contents import EVIL, content, image, small

CARDS = "document.querySelectorAll('#images button').length"
FOCUS = "document.activeElement.getAttribute('aria-label')"
NAMES = "[...document.querySelectorAll('#images .name')].map(it => it.textContent)"
VIEWED = "document.querySelector('#viewer').open && document.querySelector('#viewer-name').textContent"


def opened(page: Page, folder: Path, shown: ReportContent, language: str = "en") -> Page:
    path = folder / "レポート.html"
    path.write_text(render(shown, language, coco_name="r.coco.json"), encoding="utf-8")
    page.open(path)
    return page


def choose_kind(page: Page, name: str) -> None:
    """By the text of the option, as people do."""
    options = page.run("[...document.querySelectorAll('[name=kind] option')].map(it => [it.text, it.value])")
    choose(page, "kind", dict(options)[name])


def choose(page: Page, name: str, value: str) -> None:
    page.run(
        f"""(() => {{ const it = document.querySelector('[name={name}]'); it.value = {json.dumps(value)};
        it.dispatchEvent(new Event("input", {{bubbles: true}})); }})()"""
    )


def unlabelled() -> ReportContent:
    return content((image("a.png", 12.0, "", ""), image("b.png", 33.0, "", "")))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("make", [content, unlabelled], ids=["labelled", "unlabelled"])
def test_it_draws_everything_and_asks_for_nothing(page: Page, tmp_path: Path, make: object, language: str) -> None:
    opened(page, tmp_path, make(), language)  # type: ignore[operator]
    assert page.problems() == []
    assert len(page.requests()) == 1, page.requests()
    drawn = page.run("[...document.querySelectorAll('.chart')].map(it => !!it.querySelector('svg .xy'))")
    assert len(drawn) == (5 if make is content else 2)
    assert all(drawn)
    page.run("document.querySelector('#gallery').scrollIntoView({behavior: 'instant'})")
    loaded = "[...document.querySelectorAll('#images img')].slice(0, 4)"
    assert page.until(f"{loaded}.every(it => it.complete && it.naturalWidth > 0)")
    assert page.run("document.documentElement.scrollWidth <= innerWidth")


def test_no_name_ever_runs(page: Page, tmp_path: Path) -> None:
    evil = content(
        (image(EVIL, 31.0, "bad", EVIL), image("b.png", 12.0)),
        product=EVIL,
        data=EVIL,
        skipped=(ImageError(EVIL, EVIL),),
    )
    opened(page, tmp_path, evil)
    page.click("#images button")
    assert page.run(VIEWED) == EVIL
    assert page.run("document.title").startswith("Inspection report: <script>")
    assert page.run("document.querySelectorAll('img[src=x]').length") == 0
    assert page.problems() == []


def test_the_policy_forbids_what_is_not_the_pages_own(page: Page, tmp_path: Path) -> None:
    """Even a script that got in would not run, and no picture or request would leave."""
    opened(page, tmp_path, content())
    page.run(
        """(() => { const it = document.createElement("script"); it.textContent = "window.ran = true";
        document.body.append(it); })()"""
    )
    assert page.run("window.ran") is None
    refused = page.run("fetch('https://example.invalid/').then(() => false, () => true)")
    assert refused
    assert any("Content Security Policy" in problem for problem in page.problems())
    assert len(page.requests()) == 1


def test_filters(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, content())
    assert page.run("document.querySelector('#shown').textContent") == "40 of 40 images"
    choose(page, "outcome", "mistakes")
    assert page.run(NAMES) == ["test/crack/missed.png", "test/good/loud.png"]
    choose(page, "outcome", "")
    choose_kind(page, "傷")
    assert page.run(CARDS) == 7
    choose(page, "verdict", "ok")
    assert (
        page.run("document.querySelector('#images').textContent") == "No image matches. Reset the filters to see all."
    )
    page.click("#filters [type=reset]")
    assert page.until(f"{CARDS} >= 24")
    choose(page, "label", "bad")
    choose(page, "order", "low")
    assert page.run(NAMES)[:2] == ["test/crack/missed.png", "test/crack/unsure.png"]
    page.click("[name=text]")
    page.type("UNSURE")
    assert page.run(NAMES) == ["test/crack/unsure.png"]


def test_kinds_with_blanks_and_breaks_can_be_filtered(page: Page, tmp_path: Path) -> None:
    """Browsers make one blank of them in an option."""
    named = ("a  b", "a\nb", " a b")
    images = [image(f"{n}{times}.png", 31.0, "bad", kind) for n, kind in enumerate(named) for times in range(n + 1)]
    opened(page, tmp_path, content((image("good.png", 12.0), *images)))
    values = page.run("[...document.querySelectorAll('[name=kind] option')].map(it => it.value)")
    assert len(values) == 5
    counts = []
    for value in values[1:]:
        choose(page, "kind", value)
        counts.append(page.run(CARDS))
    assert sorted(counts) == [1, 1, 2, 3]


def test_long_names_stay_within_the_page(page: Page, tmp_path: Path) -> None:
    long = "傷" * 40 + "x" * 200
    images = (image(f"test/{long}/1.png", 31.0, "bad", long), image(f"{long}.png", 12.0))
    for width in (360, 1300):
        page.size(width, 800)
        opened(page, tmp_path, content(images, skipped=(ImageError(f"{long}.png", "empty"),), data=long))
        assert page.run("document.documentElement.scrollWidth <= innerWidth")
        page.click("#images button")
        assert page.run("document.querySelector('#viewer').scrollWidth <= innerWidth")
        page.press("Escape")


def test_more_images_come_as_one_scrolls(page: Page, tmp_path: Path) -> None:
    many = tuple(image(f"{n:03}.png", 10 + n / 10, thumbnails=small(12.0)) for n in range(100))
    opened(page, tmp_path, content(many))
    assert page.run(CARDS) <= 48, "not all at once"
    assert page.until(f"scrollTo({{top: 1e9, behavior: 'instant'}}), {CARDS} === 100")
    assert page.run("document.querySelector('#more').hidden")


def test_the_keyboard_is_enough(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, content())
    page.run("document.querySelector('#images button').focus()")
    page.press("ArrowRight")
    assert page.run(FOCUS).startswith("test/good/loud.png: NG, Score 33.0")
    page.press("ArrowDown")
    page.press("ArrowUp")
    assert page.run(FOCUS).startswith("test/good/loud.png")
    page.press("Enter")
    assert page.run(VIEWED) == "test/good/loud.png"
    assert page.run("document.querySelector('#viewer-position').textContent") == "2 of 40"
    page.press("ArrowLeft")
    assert page.run(VIEWED) == "test/crack/missed.png"
    page.press("ArrowLeft")
    assert page.run(VIEWED) == "test/crack/missed.png", "there is none before the first"
    for _ in range(39):
        page.press("ArrowRight")
    assert page.run("document.querySelector('#viewer-next').disabled")
    page.press("Escape")
    assert page.until("!document.querySelector('#viewer').open")
    assert page.until(f"({FOCUS} || '').startsWith('test/good/良品00.png')"), "the focus is where one left off"


def test_the_enlarged_view_shows_all_four_pictures_and_the_regions(page: Page, tmp_path: Path) -> None:
    shown = content()
    opened(page, tmp_path, shown)
    choose(page, "order", "high")
    page.click("#images button")
    alts = page.run("[...document.querySelectorAll('#viewer-panels img')].map(it => it.alt)")
    assert alts == ["Input", "Heat map", "Found", "Truth"]
    assert page.until("[...document.querySelectorAll('#viewer-panels img')].every(it => it.naturalWidth === 80)")
    rows = page.run("[...document.querySelectorAll('#viewer-regions tbody tr')].map(it => it.children.length)")
    best = max(shown.images, key=lambda image: image.score)
    assert rows == [6] * len(best.regions)
    page.click("#viewer-close")
    assert page.until("!document.querySelector('#viewer').open")


def test_regions_and_points_lead_to_their_image(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, content())
    choose(page, "verdict", "ok")
    name = page.run("document.querySelector('#region-rows button').textContent")
    page.click("#region-rows button")
    assert page.run(VIEWED) == name
    page.press("Escape")
    place = "document.querySelector('[data-chart=kinds]')"
    page.run(f"{place}.emit('plotly_click', {{points: [{{customdata: 1}}]}})")
    assert page.run(VIEWED) == "test/good/loud.png"


def test_coco_can_be_downloaded(page: Page, tmp_path: Path) -> None:
    shown = content()
    opened(page, tmp_path, shown)
    page.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.click("#coco-download")
    target = tmp_path / "regions.coco.json"
    deadline = time.monotonic() + 60
    while not target.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert json.loads(target.read_text(encoding="utf-8")) == json.loads(coco_text(shown))


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_it_fits_windows_of_any_width(page: Page, tmp_path: Path, width: int) -> None:
    page.size(width, 800)
    opened(page, tmp_path, content())
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    wide = page.run(
        "[...document.querySelectorAll('.main-svg')].every(it => it.getBoundingClientRect().right <= innerWidth)"
    )
    assert wide


def test_texts_stand_out_from_their_ground(page: Page, tmp_path: Path) -> None:
    """WCAG 2.1, 1.4.3: a contrast of 4.5 and more."""
    opened(page, tmp_path, content())
    ratios = page.run(
        """(() => {
        const light = (c) => { const [r, g, b] = c.map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92
            : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const colour = (text) => text.match(/[\\d.]+/g).map(Number);
        const ground = (it) => { for (; it; it = it.parentElement) {
            const c = colour(getComputedStyle(it).backgroundColor);
            if (c.length === 3 || c[3] > 0.99) return c.slice(0, 3); } return [255, 255, 255]; };
        return [...document.querySelectorAll("body *:not(script):not(noscript):not(svg *)")]
            .filter(it => [...it.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) && it.offsetWidth)
            .map(it => { const [a, b] = [light(colour(getComputedStyle(it).color).slice(0, 3)), light(ground(it))];
                return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), it.className + ": " + it.textContent]; })
            .filter(([ratio]) => ratio < 4.5); })()"""
    )
    assert ratios == []


def test_headings_go_down_step_by_step(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, content())
    levels = page.run("[...document.querySelectorAll('h1,h2,h3')].map(it => Number(it.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    named = "it.textContent.trim() || it.alt || it.ariaLabel || it.labels?.length"
    every = "[...document.querySelectorAll('button, select, input, img, [role=img]')]"
    assert page.run(f"{every}.filter(it => !({named})).length") == 0


def pages(data: bytes) -> int:
    """Pages of a PDF, whether or not its objects are in compressed streams."""
    found = len(re.findall(rb"/Type\s*/Page[^s]", data))
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
        try:
            found += len(re.findall(rb"/Type\s*/Page[^s]", zlib.decompress(stream)))
        except zlib.error:
            continue
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pdf(chromium: Path, tmp_path: Path, language: str) -> None:
    path, target = tmp_path / "レポート.html", tmp_path / "レポート.pdf"
    path.write_text(render(content(), language), encoding="utf-8")
    print_pdf(path, target, chromium)
    data = target.read_bytes()
    assert data.startswith(b"%PDF")
    assert is_pdf_of_kizu(target)
    assert b"%%EOF" in data[-1024:], "where readers look for the end"
    assert 3 <= pages(data) <= 12
    assert len(data) < 5_000_000
    assert data.count(b"/Subtype /Image") + data.count(b"/Subtype/Image") >= 24, "the gallery's pictures are in it"


def test_print_shows_charts_as_wide_as_the_paper(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, content())
    page.send("Emulation.setEmulatedMedia", media="print")
    page.size(700, 1000)
    fitting = (
        "[...document.querySelectorAll('.main-svg')].every(it => it.getBoundingClientRect().right <= innerWidth + 1)"
    )
    assert page.until(fitting)
    assert page.run("getComputedStyle(document.querySelector('.filters')).display") == "none"
    assert page.run("[...document.querySelectorAll('#images li')].filter(it => it.offsetHeight).length") == 24
    page.send("Emulation.setEmulatedMedia", media="")
