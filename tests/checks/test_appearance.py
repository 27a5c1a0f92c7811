from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from checks.making import a_look, part
from kizu.checks import Look, look
from kizu.checks._robust import FEWEST, LIMIT, stand_out
from kizu.checks.appearance import odd_looks
from kizu.datasets import Sample
from workflows.tiles import write

RNG = np.random.default_rng(0)


def many(**given: float) -> list[Look]:
    """Thirty good looks that vary a little, and one more with what is given."""
    names = ("brightness", "detail", "noise")
    usual = {name: getattr(a_look("x"), name) for name in names}
    scales = {"brightness": 5.0, "detail": 0.05, "noise": 0.05}
    values = [{n: usual[n] + scales[n] * RNG.standard_normal() for n in names} for _ in range(30)]
    return [*(a_look(f"{number}", **value) for number, value in enumerate(values)), a_look("odd", **given)]


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"brightness": 40.0}, "exposure", "darker than the others (mean grey level 40; of good images 1"),
        ({"brightness": 220.0}, "exposure", "brighter than the others"),
        ({"white": 0.3}, "clipping", "more burnt out than the others (percent white 30; of good images 0, mostly"),
        ({"black": 0.3}, "clipping", "more blacked out than the others"),
        ({"detail": 0.3}, "focus", "more blurred than the others"),
        ({"noise": 2.0}, "noise", "noisier than the others"),
    ],
)
def test_what_stands_out_is_told_with_what_is_usual(given: dict[str, float], kind: str, words: str) -> None:
    (finding,) = odd_looks(many(**given))
    assert finding.kind == kind
    assert [path.name for path in finding.paths] == ["odd"]
    assert finding.message.startswith(words)
    assert finding.severity == "warning"


@pytest.mark.parametrize("given", [{}, {"white": 0.05}, {"detail": 3.0}, {"noise": 0.1}])
def test_what_does_not_matter_is_not_told(given: dict[str, float]) -> None:
    """A little clipping where there is none otherwise; an image sharper, or freer of noise, than the rest."""
    assert list(odd_looks(many(**given))) == []


def test_bad_images_are_not_judged_and_do_not_set_the_measure() -> None:
    looks = [*many(), *(a_look(f"bad {n}", "test", "bad", brightness=20.0) for n in range(60))]
    looks.append(a_look("dark", "test", brightness=20.0))
    (finding,) = odd_looks(looks)
    assert [path.name for path in finding.paths] == ["dark"]
    assert finding.severity == "note"


def test_of_a_handful_nothing_stands_out() -> None:
    assert list(odd_looks([*many()[: FEWEST - 1], a_look("odd", "test", brightness=1.0)])) == []
    assert list(odd_looks([])) == []


def test_deviations_are_those_of_normal_values_and_outliers_do_not_move_them() -> None:
    values = np.random.default_rng(1).normal(10, 3, 20_000)
    assert stand_out(values, values).std() == pytest.approx(1, rel=0.03)
    spoilt = np.concatenate([values, np.full(2_000, 1e6)])
    assert stand_out(values, spoilt).std() == pytest.approx(1, rel=0.2)
    assert (np.abs(stand_out(values, values)) > LIMIT).mean() == 0


def test_equal_values_do_not_stand_out_and_any_other_does() -> None:
    assert stand_out(np.array([1.0, 1.0, 1.1]), np.ones(20)).tolist() == [0, 0, np.inf]
    assert stand_out(np.array([1.1]), np.ones(20), at_least=0.1).round(9).tolist() == [1]


def test_a_blurred_and_a_noisy_picture_measure_as_such(tmp_path: Path) -> None:
    import cv2

    sharp = part(0)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 3)
    noisy = (blurred + np.random.default_rng(2).normal(0, 5, sharp.shape)).clip(0, 255).astype(np.uint8)
    looks = [
        look(Sample(write(tmp_path / f"{number}.png", pixels), "train", "good", "good"))
        for number, pixels in enumerate((sharp, blurred, noisy, (sharp * 0.5).astype(np.uint8)))
    ]
    assert looks[1].detail < looks[0].detail - 0.2
    assert looks[2].noise > looks[1].noise + 1
    assert looks[3].detail == pytest.approx(looks[0].detail, abs=0.02)  # darker is not blurred
    assert looks[3].noise == pytest.approx(looks[0].noise, abs=0.05)
