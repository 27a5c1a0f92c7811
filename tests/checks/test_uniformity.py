from __future__ import annotations

import pytest

from checks.making import a_look
from kizu.checks.uniformity import odd_ones


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"size": (640, 480)}, "size", "1 image 480×640 pixels, where 20 are 300×300 pixels."),
        ({"grey": False}, "colour", "1 image in colour, where 20 are grey."),
        ({"bits": 16}, "bits", "1 image of 16 bits a sample, where 20 are of 8 bits a sample."),
        ({"format": "JPEG"}, "format", "1 image in JPEG files, where 20 are in PNG files."),
    ],
)
def test_the_one_that_differs_is_told(given: dict[str, object], kind: str, message: str) -> None:
    (finding,) = odd_ones([*(a_look(f"{n}") for n in range(20)), a_look("odd", **given)])
    assert (finding.kind, finding.message, [path.name for path in finding.paths]) == (kind, message, ["odd"])


def test_several_that_differ_the_same_way_are_one_finding() -> None:
    looks = [*(a_look(f"{n}") for n in range(30)), *(a_look(f"odd {n}", grey=False) for n in range(3))]
    (finding,) = odd_ones(looks)
    assert len(finding.paths) == 3


def test_a_data_set_of_two_halves_has_no_odd_ones() -> None:
    looks = [a_look(f"{n}", grey=n % 2 == 0, format=("PNG", "BMP")[n % 2]) for n in range(20)]
    assert list(odd_ones(looks)) == []
    assert list(odd_ones([])) == []


def test_where_sizes_vary_only_another_shape_or_scale_is_odd() -> None:
    looks = [a_look(f"{n}", size=(280 + 3 * n, 300 + 5 * (n % 7))) for n in range(30)]
    assert list(odd_ones(looks)) == []
    for size in ((300, 3000), (30, 30)):
        found = list(odd_ones([*looks, a_look("odd", size=size)]))
        assert {finding.kind for finding in found} == {"size"}
        assert {path.name for finding in found for path in finding.paths} == {"odd"}


def test_a_format_that_tells_good_from_bad_is_a_problem() -> None:
    good = [a_look(f"{n}", "test") for n in range(5)]
    bad = [a_look(f"bad {n}", "test", "bad", format="JPEG") for n in range(5)]
    (finding,) = odd_ones([*good, *bad])
    assert (finding.kind, finding.severity) == ("format", "problem")
    assert "good test images are PNG files, bad ones JPEG" in finding.message
    assert list(odd_ones([*good, *bad, a_look("x", "test", format="JPEG"), a_look("y", "test", "bad")])) == []
