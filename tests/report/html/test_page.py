from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from kizu.errors import DataError, ImageError, MissingExtraError, ParameterError
from kizu.report.html import LANGUAGES, ReportContent, coco_text, render
from kizu.report.html import page as page_module
from kizu.report.html.chart_style import plotly_script
from kizu.report.html.page import PRINTED_IMAGES, PRINTED_REGIONS, TEMPLATES
from kizu.report.html.tables import decision_lines
from kizu.report.html.words import Words, table
from kizu.wording import Wording
from report.html.contents import EVIL, Found, calibration, content, image, told

SOURCES = Path(page_module.__file__).parents[2]
VOID = {"meta", "br", "input", "img", "link", "hr"}


class Outline(HTMLParser):
    """What a browser would make of a page: elements, ids, texts; scripts apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        elif self.open and self.open[-1] != "style":
            self.texts.append(data)

    def values(self, name: str) -> list[str]:
        return [str(attributes[name]) for _, attributes in self.elements if name in attributes]

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def data(self, name: str) -> str:
        (found,) = (text for attributes, text in self.scripts if attributes.get("id") == name)
        return found


def without_plotly(text: str) -> str:
    assert text.count(plotly_script()) == 1, "plotly.js is there once"
    return text.replace(plotly_script(), "")


def unlabelled(count: int = 3, **changes: Any) -> ReportContent:
    images = tuple(image(f"line/{n}.png", 12.0 + 9 * n, "", "") for n in range(count))
    return content(images, **changes)


CONTENTS = {
    "labelled": content,
    "unlabelled": unlabelled,
    "one image": lambda: unlabelled(1),
    "good alone": lambda: content((image("a.png", 12.0), image("b.png", 40.0))),
    "bad alone": lambda: content((image("a.png", 12.0, "bad", "bad"), image("b.png", 29.5, "bad", "bad"))),
    "no masks": lambda: content(pixel_metrics=None),
    "no pictures": lambda: content((image("a.png", 12.0, thumbnails=None), image("b.png", 40.0, thumbnails=None))),
    "checked and clean": lambda: content(findings=()),
    "equal scores": lambda: content(tuple(image(f"{n}.png", 12.0) for n in range(4))),
    "threshold by hand": lambda: content(calibration=calibration(by="value", threshold=20.0, evidence={"cost": 5})),
    "no review": lambda: content(calibration=calibration(review_budget=0.0)),
    "too few for the promise": lambda: content(calibration=calibration(false_alarms=0.001)),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", CONTENTS)
def test_every_kind_of_content_makes_a_whole_page(kind: str, language: str) -> None:
    text = render(CONTENTS[kind](), language)
    page = Outline(text)
    assert page.open == []
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.values("href")} <= set(ids)
    assert set(page.values("aria-labelledby")) <= set(ids)
    assert dict(page.elements)["html"]["lang"] == language
    assert "None" not in page.said
    assert not re.search(r"\{\w+\}", page.said), "every place in a text is filled"
    charts = json.loads(page.data("report-data"))["charts"]
    assert set(page.values("data-chart")) <= set(charts)


def test_nothing_is_loaded_from_anywhere() -> None:
    text = without_plotly(render(content(), "ja"))
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+", re.sub(r"base64,[\w+/=]+", "", text)) == []
    page = Outline(text)
    assert page.values("src") == []
    assert all(link.startswith("#") for link in page.values("href"))
    assert not any(tag in ("link", "iframe", "object", "embed", "img", "base") for tag, _ in page.elements)
    assert "url(" not in text
    assert "@import" not in text


def test_the_policy_lets_these_scripts_run_and_nothing_else() -> None:
    page = Outline(render(content()))
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data: blob:"
    assert "unsafe" not in rules["script-src"]
    run = [text for attributes, text in page.scripts if "type" not in attributes]
    assert len(run) == 3
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run]
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_of_others_are_text_and_nothing_else(language: str) -> None:
    finding = Found(EVIL, "problem", (Path(EVIL),), told(EVIL), EVIL)
    evil = content(
        (image(EVIL, 31.0, "bad", EVIL), image("b.png", 12.0)),
        product=EVIL,
        model=EVIL,
        data=EVIL,
        skipped=(ImageError(EVIL, EVIL),),
        findings=(finding,),
        provenance={EVIL: {EVIL: EVIL}},
    )
    text = render(evil, language, coco_name=EVIL)
    harmless = render(content((image("a", 31.0, "bad", "k"), image("b.png", 12.0)), findings=()), language)
    page, other = Outline(text), Outline(harmless)
    assert len(page.scripts) == len(other.scripts)
    assert not any(tag in ("img", "a") and "onerror" in attributes for tag, attributes in page.elements)
    assert text.count("<script") - text.count(EVIL) == harmless.count("<script")
    data = json.loads(page.data("report-data"))
    assert data["images"][0]["name"] == EVIL
    assert json.loads(page.data("report-coco"))["images"][0]["file_name"] == f"/data/{EVIL}"
    assert EVIL.split("\u2028")[0] in page.said
    labels = data["charts"]["kinds"]["layout"]["yaxis"]["ticktext"]
    assert any("&lt;script&gt;" in label for label in labels), "plotly takes some HTML for formatting"


def test_a_name_that_is_no_valid_unicode() -> None:
    images = (image("caf\udce9.png", 31.0, "bad", "\udce9"), image("b.png", 12.0))
    text = render(content(images, skipped=(ImageError("\udce9", "empty"),)))
    assert "caf\\udce9" in text
    text.encode()


@pytest.mark.parametrize("turn", [*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))])
def test_no_name_turns_letters_round(turn: str) -> None:
    name = f"a{turn}gnp.exe"
    evil = content(
        (image(name, 31.0, "bad", name), image("b.png", 12.0)),
        **{"product": name, "model": name, "data": name, "skipped": (ImageError(name, name),)},
    )
    text = render(evil, coco_name=name)
    page = Outline(text)
    coco = page.data("report-coco")
    assert json.loads(coco)["images"][0]["file_name"] == f"/data/{name}"
    assert turn not in text.replace(coco, "")
    escaped = f"a\\u{ord(turn):04x}gnp.exe"
    assert json.loads(page.data("report-data"))["images"][0]["name"] == escaped
    assert page.said.count(escaped) >= 6


def test_the_gallery_has_every_image_mistakes_first() -> None:
    page = Outline(render(content()))
    entries = json.loads(page.data("report-data"))["images"]
    assert [entry["outcome"] for entry in entries[:2]] == ["missed", "false_alarm"]
    rest = [entry["score"] for entry in entries[2:]]
    assert rest == sorted(rest, reverse=True)
    assert len(entries) == 40
    lines = page.data("report-pictures").strip().split("\n")
    assert len(lines) == len(entries)
    assert all(len(line.split(" ")) == 4 for line in lines)
    input_, heat, found, truth = lines[1].split(" ")
    assert base64.b64decode(input_)[:3] == base64.b64decode(heat)[:3] == b"\xff\xd8\xff"
    assert base64.b64decode(found)[:4] == base64.b64decode(truth)[:4] == b"\x89PNG"


def test_only_so_many_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kizu.report.html.gallery.MOST_PICTURES", 5)
    page = Outline(render(content()))
    assert len(page.data("report-pictures").strip().split("\n")) == 5
    assert "Pictures of the first 5 of 40 images are in this file" in page.said


def test_figures_are_those_of_the_content() -> None:
    page = Outline(render(content()))
    assert "1 of 30 good parts came out as NG (3.3 %)." in page.said
    assert "8 of 10 defective parts came out as NG. 1 more goes to a person. 1 got through as OK (10 %)." in page.said
    assert "For a person to look at: 1 of 40 parts (2.5 %)." in page.said
    assert "good 29 96.7 % 0 0 % 1 3.3 % 30" in page.said
    assert "defective 1 10 % 1 10 % 8 80 % 10" in page.said
    assert "crack 3 1 1 1 66.7 % 29.0" in page.said
    assert content().image_metrics is not None
    assert f"AUROC {content().image_metrics.auroc:.3f}" in page.said
    assert "fitted 200" in page.said
    assert "list 1, 2.5" in page.said


def test_regions_are_a_table_and_a_coco_document() -> None:
    shown = content()
    page = Outline(render(shown, coco_name="r.coco.json"))
    document = json.loads(coco_text(shown))
    assert json.loads(page.data("report-coco")) == document
    regions = [region for image in shown.images for region in image.regions]
    assert len(document["annotations"]) == len(regions) > 0
    assert [a["id"] for a in document["annotations"]] == list(range(1, len(regions) + 1))
    named = {entry["id"]: entry for entry in document["images"]}
    first = document["annotations"][0]
    assert first["bbox"] == [regions[0].x, regions[0].y, regions[0].width, regions[0].height]
    assert named[first["image_id"]]["file_name"] == next(i.path for i in shown.images if i.regions)
    assert "The COCO file lies beside this one: r.coco.json" in page.said
    peaks = [f"{region.peak:.1f}" for region in sorted(regions, key=lambda r: -r.peak)]
    assert re.findall(r"\d+ (\d\d\.\d)(?= test/| Show| Data)", page.said)[: len(peaks)] == peaks


def test_a_coco_document_that_is_too_large_stays_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "MOST_COCO_BYTES", 100)
    text = render(content(), coco_name="r.coco.json")
    assert "report-coco" not in Outline(text).values("id")
    assert "coco-download" not in Outline(text).values("id")


def test_what_printing_leaves_out_is_what_the_note_says() -> None:
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    assert f".gallery li:nth-child(n + {PRINTED_IMAGES + 1})" in style
    assert f".few tbody tr:nth-child(n + {PRINTED_REGIONS + 1})" in style
    assert f"The first {PRINTED_IMAGES} of 40 images" in Outline(render(content())).said


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("hint", ["kinds_hint", "gallery_hint"])
def test_what_paper_cannot_do_is_not_printed(language: str, hint: str) -> None:
    said, text = Words(language)(hint), render(content(), language)
    assert text.count(said) == text.count(f'<span class="screen">{said}</span>') == 1


def test_unreadable_files_and_findings_are_listed() -> None:
    paths = tuple(Path(f"good/{n}.png") for n in range(11))
    findings = (
        Found("blurred", "note", paths[:1], told("Out of focus."), "Take it out."),
        Found("leak", "problem", paths, told("In train and test."), "Remove `one`."),
    )
    skipped = (ImageError("a.png", Wording("file_empty"), Wording("copy_again")),)
    page = Outline(render(content(skipped=skipped, findings=findings)))
    assert "a.png: the file is empty (0 bytes); copy it again from its source" in page.said
    assert "a.png: ファイルが空です（0バイト）。元のファイル" in Outline(render(content(skipped=skipped), "ja")).said
    assert "Found by the data check: problems 1, warnings 0." in page.said
    assert page.said.index("In train and test.") < page.said.index("Out of focus.")
    assert "good/7.png and 3 more" in page.said
    assert "Mend the problems that the data check found" in page.said


@pytest.mark.parametrize("module", ["plotly.graph_objects", "jinja2"])
def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    page_module._environment.cache_clear()
    with pytest.raises(MissingExtraError, match=r'not installed\. Run: pip install "kizu\[report\]"'):
        render(content())
    monkeypatch.undo()
    page_module._environment.cache_clear()


def test_bad_content() -> None:
    with pytest.raises(DataError, match="at least one image"):
        content(())
    with pytest.raises(ParameterError, match="unknown language 'fr'"):
        render(content(), "fr")


def test_the_same_content_gives_the_same_page() -> None:
    assert render(content()) == render(replace(content()))


def test_findings_of_a_kind_stand_together_and_in_japanese() -> None:
    usual = {"low": 99.0, "middle": 120.0, "high": 140.0}
    words = [Wording("darker", {**usual, "value": float(n)}) for n in range(5)]
    dark = [Found("exposure", "warning", (Path(f"{n}.png"),), words[n], "Look at it.") for n in range(5)]
    new = Found("never_heard_of", "note", (), told("Something new."), "Ask.")
    english = Outline(render(content(findings=(*dark, new)))).said
    said = " ".join(map(str, words[:3]))
    assert f"Darker or brighter than the others (5) {said} Look at it; check lamp" in english
    assert str(words[3]) not in english
    japanese = Outline(render(content(findings=(*dark, new)), "ja")).said
    said = " ".join(word.say("ja") for word in words[:3])
    assert f"ほかより暗い、または明るい画像 (5) {said} 照明と露光時間を確認し" in japanese
    assert "darker" not in japanese
    assert "never heard of 読み取れません（Something new.） Ask." in japanese, "better in English than not at all"


def test_every_kind_of_finding_of_the_data_check_is_known() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (SOURCES / "checks").glob("*.py"))
    kinds = set(re.findall(r'(?:Finding|Copies|Measure|Trait|return)\(?\s*"([a-z_]+)",', source))
    assert len(kinds) > 20
    assert [kind for kind in kinds if f"finding_{kind}" not in table() or f"advice_{kind}" not in table()] == []


def lights(page: Outline) -> list[str]:
    """How the cards of the summary stand: good parts, defects, what people look at, data."""
    classes = [str(attributes["class"]) for tag, attributes in page.elements if tag == "article"]
    return [name.removeprefix("light ") for name in classes]


def counted(good_ng: int = 0, missed: int = 0, reviewed: int = 0, **changes: Any) -> ReportContent:
    """100 good parts and 100 defects, so many of which come out wrong."""
    good = [image(f"g{n}.png", 40.0 if n < good_ng else 29.0 if n < good_ng + reviewed else 12.0) for n in range(100)]
    bad = [image(f"b{n}.png", 12.0 if n < missed else 40.0, "bad", "bad") for n in range(100)]
    return content(tuple(replace(i, thumbnails=None) for i in (*good, *bad)), **changes)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({}, ["good", "good", "good", "note"]),
        ({"good_ng": 10}, ["attention", "good", "good", "note"]),
        ({"missed": 1}, ["good", "attention", "good", "note"]),
        ({"missed": 6}, ["good", "problem", "good", "note"]),
        ({"reviewed": 30}, ["good", "good", "attention", "note"]),
        ({"findings": ()}, ["good", "good", "good", "good"]),
        ({"skipped": (ImageError("a", "b"),)}, ["good", "good", "good", "attention"]),
        ({"calibration": calibration(false_alarms=0.001)}, ["attention", "good", "good", "note"]),
        ({"calibration": calibration(by="value", threshold=29.9)}, ["note", "good", "note", "note"]),
    ],
    ids=str,
)
def test_the_lights(wrong: dict[str, Any], expected: list[str]) -> None:
    assert lights(Outline(render(counted(**wrong)))) == expected


@pytest.mark.skipif(os.name == "nt", reason="another way of quoting")
def test_a_budget_for_review_is_told_only_where_false_alarms_decide() -> None:
    """Elsewhere what lies between the thresholds is no share that anyone asked for: it is counted."""
    by_hand, words = content(calibration=calibration(by="value", threshold=40.0)), Words("en")
    reviewed = (
        f"A further {words.share(content().calibration.reviewed)} of good parts goes to a person, in expectation."
    )
    assert decision_lines(content(), words)[-1] == reviewed
    between = "11 of the 200 good images score between the two thresholds, for a person to look at."
    assert decision_lines(by_hand, words)[-1] == between


def test_commands_take_any_name_of_a_model() -> None:
    text = render(counted(missed=6, model="my model's `x`.kizu"))
    command = html.escape("kizu threshold 'my model'\"'\"'s `x`.kizu' --review-budget 0.1")
    assert f"<code>{command}</code>" in text.replace("&#39;", "&#x27;").replace("&#34;", "&quot;")
    assert "\0" not in text


def test_that_labels_are_missing_is_told_for_curves() -> None:
    assert "these have no labels." in Outline(render(unlabelled())).said
    assert "one of them alone" not in Outline(render(unlabelled())).said
    assert "ラベルがありません。" in Outline(render(unlabelled(), "ja")).said
    assert "one of them alone" in Outline(render(CONTENTS["good alone"]())).said


def test_a_long_kind_leaves_its_chart_room() -> None:
    page = Outline(render(content((image("a.png", 31.0, "bad", "傷" * 200), image("b.png", 12.0)))))
    labels = json.loads(page.data("report-data"))["charts"]["kinds"]["layout"]["yaxis"]["ticktext"]
    assert max(map(len, labels)) <= 32
    assert "傷" * 200 in page.said


def test_advice_fits_what_was_found() -> None:
    fine = Outline(render(counted())).said
    assert "Run it beside today's inspection" in fine
    assert "Of 100 good parts none come out as NG and none go to a person." in fine
    assert "Of 100 defective parts all come out as NG, none go to a person and none get through." in fine
    missing = Outline(render(counted(missed=6))).said
    assert "Look at the 6 missed defects" in missing
    assert "kizu threshold 部品.kizu --review-budget 0.1" in missing
    assert "Run it beside today's inspection" not in missing
    assert "kizu update 部品.kizu IMAGES" in Outline(render(counted(good_ng=10))).said
    few = Outline(render(counted(calibration=calibration(false_alarms=0.001)))).said
    assert "for a promise of 0.1 % it takes 999" in few
    assert "0.1 % was asked for, but 200 good images can promise only 0.5 %." in few
