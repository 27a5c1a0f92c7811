from __future__ import annotations

import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import kizu
from kizu.checks.appearance import MEASURES
from kizu.checks.duplicates import NEAR, SAME
from kizu.errors import ImageError
from kizu.wording import LANGUAGES, WORDINGS, Value, Wording, form, read_table
from texts import is_japanese, own_words, places

TABLE = read_table(WORDINGS)
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in Path(kizu.__file__).parent.rglob("*.py"))


def formats(text: str) -> dict[str, str]:
    """How each figure is written, by name."""
    return {name: spec or "" for _, name, spec, _ in string.Formatter().parse(text) if name is not None}


def examples(text: str, n: int) -> dict[str, Value]:
    """A figure of the right type for every place."""
    made: dict[str, Value] = {}
    for name, spec in formats(text).items():
        made[name] = 0.5 if spec[-1:] in ("f", "g", "%") else 1234 if spec else "x"
    return {**made, "n": n} if "n" in made else made


@pytest.mark.parametrize("key", TABLE)
def test_every_wording_is_there_in_every_language_with_the_same_figures(key: str) -> None:
    forms = TABLE[key]
    assert tuple(forms) == LANGUAGES
    assert all(text.strip() for text in forms.values())
    for language, text in forms.items():
        for one in text.split(" || "):
            assert places(one) == places(forms["en"]), language
            assert formats(one) == formats(forms["en"]), "a figure has as many digits in every language"
    for n in (1, 2):
        said = [Wording(key, examples(forms["en"], n)).say(language) for language in LANGUAGES]
        assert not any("||" in text or "{" in text for text in said)


@pytest.mark.parametrize("key", TABLE)
def test_japanese_is_japanese(key: str) -> None:
    english, japanese = TABLE[key]["en"], TABLE[key]["ja"]
    assert is_japanese(own_words(japanese)) or not re.search(r"[A-Za-z]", own_words(english)) or key == "and"
    assert not re.search(r"[a-z]{3,}", re.sub("--[a-z-]+", "", own_words(japanese))), "nothing is left in English"


def keys_of_others() -> Iterator[str]:
    """Keys that do not stand in the call of `Wording` itself."""
    yield from (key for measure in MEASURES for key in (measure.low, measure.high) if key is not None)
    yield from (copies.kind for copies in (*SAME, *NEAR))
    yield from re.findall(r'return \(?"(mask_\w+)"', SOURCE)
    yield from re.findall(r'unsupported\(.*, "(\w+)"\)', SOURCE)
    yield from re.findall(r'remedy: str = "(\w+)"', SOURCE)
    yield from re.findall(r'_too_few_to_test\(.*, "(\w+)"\)', SOURCE)


def test_every_wording_is_used_and_every_one_used_is_there() -> None:
    used = {*re.findall(r'Wording\(\s*"(\w+)"', SOURCE), *keys_of_others(), "and"}
    assert used == set(TABLE)


def test_a_wording_in_a_wording_is_in_the_same_language() -> None:
    unlike = {"this": Wording("in_colour"), "usual": Wording("in_grey")}
    odd = Wording("odd_one", {"n": 1, "others": 1200, **unlike})
    assert str(odd) == "1 image in colour, where 1,200 are grey."
    assert odd.say("ja") == "1枚がカラーです（大半の1,200枚はモノクロ）。"


def test_names_are_joined_as_each_language_does() -> None:
    tells = Wording("format_tells_label", {"good": ("BMP", "PNG"), "bad": ("JPEG",)})
    assert "are BMP and PNG files, bad ones JPEG:" in str(tells)
    assert "良品はBMP、PNG形式、不良品はJPEG形式" in tells.say("ja")


def test_what_is_filled_in_is_never_a_template() -> None:
    assert str(Wording("as_told", {"detail": "{n} || {0}"})) == "{n} || {0}"


def test_one_and_many() -> None:
    assert [form("one || more", n) for n in (1, 0, 2, None)] == ["one", "more", "more", "more"]
    assert form("as it is", 1) == form("as it is", 2) == "as it is"


def test_wordings_are_values() -> None:
    one, same = (Wording("few_bad_to_test", {"n": 9, "margin": 33.0}) for _ in range(2))
    assert (one, hash(one)) == (same, hash(same))
    assert one != Wording("few_bad_to_test", {"n": 8, "margin": 33.0})
    with pytest.raises(KeyError):
        str(Wording("no_such_words"))


def test_an_image_error_speaks_every_language() -> None:
    error = ImageError("a.png", Wording("file_cut_short", {"detail": "no end"}), Wording("copy_again"))
    assert str(error) == f"a.png: {error.problem}" == f"a.png: {error.wording}"
    assert error.problem == "the file is cut short (no end); copy it again from its source, or take it out"
    japanese = "ファイルが途中で切れています（no end）。元のファイルをコピーし直すか、除いてください"
    assert error.wording.say("ja") == japanese


def test_what_others_say_of_an_image_is_quoted() -> None:
    error = ImageError("a.png", "camera on fire")
    assert (str(error), error.problem, error.remedy) == ("a.png: camera on fire", "camera on fire", None)
    assert error.wording.say("ja") == "読み取れません（camera on fire）"
