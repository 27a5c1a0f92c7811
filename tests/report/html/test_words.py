from __future__ import annotations

import re
from datetime import datetime

import pytest

from kizu.errors import ParameterError
from kizu.report.html import LANGUAGES
from kizu.report.html.gallery import SCRIPT_WORDS
from kizu.report.html.page import TEMPLATES
from kizu.report.html.words import Words, table
from texts import is_japanese, places

SOURCES = {
    path.name: path.read_text(encoding="utf-8") for path in TEMPLATES.parent.rglob("*.*") if path.suffix != ".pyc"
}


@pytest.mark.parametrize("key", table())
def test_every_text_is_there_in_every_language_with_the_same_places(key: str) -> None:
    forms = table()[key]
    assert tuple(forms) == LANGUAGES
    assert all(text.strip() for text in forms.values())
    wanted = {language: places(text) for language, text in forms.items()}
    assert wanted["en"] == wanted["ja"]
    for form in forms["en"].split(" || "):
        assert places(form) <= wanted["en"]


@pytest.mark.parametrize("key", table())
def test_japanese_is_japanese(key: str) -> None:
    """Nothing was left in English: a text has kana or kanji, or is a name, number or unit in both languages."""
    english, japanese = table()[key]["en"], table()[key]["ja"]
    same_in_both = {"ok", "ng", "auroc", "months"}
    assert is_japanese(japanese) or key in same_in_both | {"percent", "comma"}
    assert english != japanese or key in same_in_both


def test_every_text_is_used() -> None:
    used = "\n".join(text for name, text in SOURCES.items() if name != "words.yaml")
    made = ("light_", "card_", "head_", "dec_", "method_", "section_", "order_", "severity_", "col_", "chart_")
    made += ("finding_", "advice_", "hundred_")
    unused = [key for key in table() if not re.search(rf"['\"]{key}['\"]", used) and not key.startswith(made)]
    assert unused == []


def test_the_script_asks_for_no_text_it_does_not_get() -> None:
    scripts = SOURCES["gallery.js"] + SOURCES["charts.js"]
    asked = set(re.findall(r"words\.(\w+)", scripts)) | set(re.findall(r'say\("(\w+)"', scripts))
    assert asked <= set(SCRIPT_WORDS)
    assert set(SCRIPT_WORDS) <= set(table())


def test_shares_are_not_rounded_to_all_or_nothing() -> None:
    words = Words("en")
    shown = [words.share(share) for share in (0, 0.0004, 0.0123, 0.25, 0.9996, 1)]
    assert shown == ["0\u00a0%", "0.04\u00a0%", "1.2\u00a0%", "25\u00a0%", "99.9\u00a0%", "100\u00a0%"]
    assert (words.figure(0.9999), words.figure(1.0), words.figure(None)) == ("0.999", "1.000", "–")


def test_dates_as_each_language_writes_them() -> None:
    moment = datetime(2026, 3, 4, 15, 6)
    assert Words("en").date(moment) == "4 March 2026, 15:06"
    assert Words("ja").date(moment) == "2026年3月4日 15:06"


def test_one_and_many() -> None:
    words = Words("en")
    assert (words("images", n=1), words("images", n=0), words("images", n=2)) == ("1 image", "0 images", "2 images")


def test_another_language() -> None:
    with pytest.raises(ParameterError, match=r"unknown language 'jp'\. Known: en, ja\."):
        Words("jp")
