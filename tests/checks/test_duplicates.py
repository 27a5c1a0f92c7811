from __future__ import annotations

import numpy as np
import pytest

from checks.making import a_look
from kizu.checks import Finding, Look
from kizu.checks.duplicates import LIKELY, RARE, SURE, exact, limit_for, near, same_pixels


def kinds(found: list[Finding]) -> list[tuple[str, str]]:
    return [(one.kind, one.severity) for one in found]


def names(finding: Finding) -> list[str]:
    return [path.name for path in finding.paths]


def alone(*looks: Look) -> list[list[Look]]:
    return [[one] for one in looks]


def test_the_same_pixels_are_one_group_however_often_and_called_what_they_may() -> None:
    looks = [a_look("a"), a_look("b"), a_look("a.jpg", digest=b"a"), a_look("c", digest=b"a")]
    (finding,) = exact(looks)
    assert names(finding) == ["a", "a.jpg", "c"]
    assert finding.message == "the same pixels: 3 files in train/good."
    assert kinds([finding]) == [("duplicate", "warning")]


@pytest.mark.parametrize(
    ("split", "label", "kind", "severity"),
    [
        ("train", "good", "duplicate", "warning"),
        ("test", "good", "leak", "problem"),
        ("calibration", "good", "leak", "problem"),
        ("test", None, "leak", "problem"),
        ("test", "bad", "contradiction", "problem"),
    ],
)
def test_how_bad_a_copy_is_depends_on_what_it_tears_apart(
    split: str, label: str | None, kind: str, severity: str
) -> None:
    first, second = a_look("a"), a_look("b", split, label, digest=b"a")
    assert kinds(list(exact([first, second]))) == [(kind, severity)]
    severity = "warning" if kind == "contradiction" else severity  # a painted defect is nearly the same, too
    assert kinds(list(near(alone(first, second), [(0, 1, 0.99)]))) == [(f"near_{kind}", severity)]


def test_pairs_that_share_an_image_are_one_group() -> None:
    looks = alone(*(a_look(name) for name in "abcdef"))
    found = list(near(looks, [(0, 1, 0.97), (4, 5, 0.98), (1, 3, 0.99), (0, 2, 0.1)]))
    assert [names(one) for one in found] == [["a", "b", "d"], ["e", "f"]]
    assert "similarity 0.99" in found[0].message


def test_all_files_of_the_same_pixels_are_in_the_group_of_one_nearly_so() -> None:
    groups = same_pixels([a_look("a"), a_look("b", digest=b"a"), a_look("c", "test")])
    (finding,) = near(groups, [(0, 1, 0.98)])
    assert names(finding) == ["a", "b", "c"]
    assert finding.kind == "near_leak"


def pairs_of(count: int, value: float) -> list[tuple[int, int, float]]:
    return [(2 * i, 2 * i + 1, value) for i in range(count)]


def test_where_look_alikes_are_rare_less_is_enough() -> None:
    rare = int(RARE * 100) // 2
    assert limit_for(100, pairs_of(rare, 0.8)) == (LIKELY, 2 * rare)
    assert limit_for(100, pairs_of(rare + 1, 0.8)) == (SURE, 2 * rare + 2)
    assert limit_for(100, pairs_of(40, 0.97)) == (LIKELY, 0)  # many copies are no look-alikes
    assert limit_for(100, [*pairs_of(40, 0.97), *((i, i + 2, 0.8) for i in range(0, 70, 4))]) == (LIKELY, 0)
    assert limit_for(10, pairs_of(1, 0.8)) == (LIKELY, 2)  # of ten images, two are no rule


def test_where_a_wide_gap_divides_similarities_the_limit_lies_in_it() -> None:
    unlike = [(i, i + 1, 0.3 * i / 100) for i in range(99)]
    assert limit_for(100, [*unlike, *pairs_of(20, 0.7)]) == (pytest.approx(0.5, abs=0.01), 40)
    assert limit_for(100, [*unlike, *pairs_of(20, 0.45)]) == (SURE, 40)  # too near
    spread = [(i, j, 0.3 + 0.6 * i / 40) for i, j, _ in pairs_of(20, 0)]
    assert limit_for(100, [*unlike, *spread]) == (SURE, 32)


def test_look_alikes_are_one_note_unless_they_stand_on_both_sides_of_the_test() -> None:
    looks = alone(*(a_look(f"{number}") for number in range(20)))
    (finding,) = near(looks, pairs_of(10, 0.8))
    assert (finding.kind, finding.severity, len(finding.paths)) == ("look_alikes", "note", 20)
    assert finding.message.startswith("20 images of 20 have a look-alike (similarity about 0.80)")
    looks[0] = [a_look("0", "test")]
    (finding,) = near(looks, pairs_of(10, 0.8))
    assert (finding.kind, finding.severity, names(finding)) == ("look_alikes", "warning", ["0"])
    assert finding.message.endswith("; for 1 test image it is among the images for training.")
    looks[1] = [a_look("1", "test")]
    (finding,) = near(looks, pairs_of(10, 0.8))
    assert (finding.kind, finding.severity, len(finding.paths)) == ("look_alikes", "note", 20)


def test_a_good_image_with_a_look_alike_called_bad_is_told_nearest_first() -> None:
    looks = alone(*(a_look(f"{number}") for number in range(20)))
    looks[1], looks[3], looks[5] = ([a_look(name, "test", "bad", kind="crack")] for name in ("1", "3", "5"))
    pairs = [pair for pair in pairs_of(10, 0.8) if pair[0] != 4]
    found = list(near(looks, [*pairs, (2, 1, 0.9), (4, 5, 0.7)]))[1:]
    assert [names(one) for one in found] == [["2", "1", "3"], ["0", "1"]]
    assert found[0].message == "labelled good, its look-alike bad (similarity 0.90): train/good and test/crack."
    assert {one.severity for one in found} == {"note"}


def test_nothing_is_found_where_there_is_nothing() -> None:
    assert list(exact([])) == []
    assert list(near([], [])) == []
    assert list(near(alone(a_look("a"), a_look("b")), [(0, 1, float(np.nextafter(LIKELY, 0)))])) == []
