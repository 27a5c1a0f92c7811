from __future__ import annotations

from pathlib import Path

import pytest

from checks.making import a_look
from kizu.checks.files import ENOUGH_GOOD, FEW_GOOD, further_pages, left_out, too_few, unreadable
from kizu.datasets import Dataset
from kizu.errors import ImageError
from kizu.wording import Wording


def test_an_unreadable_file_is_told_with_what_to_do() -> None:
    short = ImageError("a.png", Wording("file_cut_short", {"detail": "no end"}), Wording("copy_again"))
    errors = [short, ImageError("b", "?")]
    found = list(unreadable(errors))
    assert [one.paths for one in found] == [(Path("a.png"),), (Path("b"),)]
    assert found[0].message == "the file is cut short (no end)."
    assert found[0].advice == "Copy it again from its source, or take it out."
    assert found[1].advice == "Mend or remove the file."
    assert {one.severity for one in found} == {"problem"}


@pytest.mark.parametrize(
    ("count", "severity", "words"),
    [
        (0, "warning", "0 good images for training: too few"),
        (1, "warning", "1 good image for training: too few"),
        (FEW_GOOD - 1, "warning", "19 good images for training: too few"),
        (49, "note", "49 good images for training: the lowest false-alarm share they can promise is 2.0 %."),
    ],
)
def test_too_few_good_images(count: int, severity: str, words: str) -> None:
    (finding,) = too_few([a_look(f"{n}") for n in range(count)])
    assert (finding.kind, finding.severity) == ("too_few", severity)
    assert finding.message.startswith(words)


def test_images_set_apart_to_calibrate_promise_in_place_of_those_fitted_on() -> None:
    fitted = [a_look(f"{n}") for n in range(30)]
    (finding,) = too_few([*fitted, *(a_look(f"c{n}", "calibration") for n in range(11))])
    assert finding.message == (
        "11 good images to calibrate by: the lowest false-alarm share they can promise is 8.3 %."
    )
    assert finding.advice.startswith("Add good images to calibrate by: 100")
    assert list(too_few([*fitted, *(a_look(f"c{n}", "calibration") for n in range(ENOUGH_GOOD))])) == []


def test_too_few_of_a_kind_to_test_with() -> None:
    enough = [a_look(f"{n}") for n in range(ENOUGH_GOOD)]
    assert list(too_few(enough)) == []
    (finding,) = too_few([*enough, *(a_look(f"bad {n}", "test", "bad") for n in range(9))])
    assert finding.message == "9 bad test images: shares measured on them are good to ±33 percentage points."
    (finding,) = too_few([*enough, a_look("bad", "test", "bad")])
    assert "±50 percentage points" in finding.message


def test_a_test_set_alone_needs_no_images_to_fit_on() -> None:
    assert list(too_few([a_look(f"{n}", "test", "good") for n in range(30)])) == []


def test_what_a_layout_leaves_out_is_passed_on() -> None:
    ignored = Wording("ignored_in_data", {"names": "notes/"})
    masks = Wording("masks_without_image", {"folder": "mask/", "names": "a.png"})
    (finding,) = left_out(Dataset(Path("x"), "list", (), (ignored, masks)))
    assert (finding.kind, finding.severity, finding.paths) == ("left_out", "note", ())
    assert finding.message == "ignored in the data folder: notes/."


def test_pages_that_nobody_looks_at_are_told() -> None:
    looks = [a_look("a.tif", more_pages=True), a_look("b.tif"), a_look("c.tif", more_pages=True)]
    (finding,) = further_pages(looks)
    assert (finding.kind, finding.severity) == ("pages", "warning")
    assert finding.paths == (Path("a.tif"), Path("c.tif"))
    assert finding.message == "2 files of several pages, of which the first alone is inspected."
    assert "--channels" in finding.advice
    assert list(further_pages(looks[1:2])) == []
