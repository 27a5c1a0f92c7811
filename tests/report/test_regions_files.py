"""``regions.csv`` and ``regions.coco.json``."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from kizu.errors import OutputError
from kizu.regions import Region, find_regions
from kizu.report import REGION_COLUMNS, CocoFile, RegionTable
from kizu.report.coco import annotation

SIZE = (40, 50)


def scores(seed: int = 3, size: tuple[int, int] = SIZE) -> NDArray[np.float32]:
    return np.random.default_rng(seed).gamma(2.0, 3.0, size).astype(np.float32)


def found(seed: int = 3) -> tuple[Region, ...]:
    return find_regions(scores(seed), 9.0)


def decoded(segmentation: dict[str, Any]) -> NDArray[np.bool_]:
    """The mask of a run-length encoding, from the definition: runs of 0 and 1 in turn, down the columns."""
    pixels: list[bool] = []
    for place, count in enumerate(segmentation["counts"]):
        pixels += [place % 2 == 1] * count
    height, width = segmentation["size"]
    assert len(pixels) <= height * width
    return np.array(pixels + [False] * (height * width - len(pixels))).reshape(width, height).T


def placed(region: Region, size: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(size, np.bool_)
    mask[region.y : region.y + region.height, region.x : region.x + region.width] = region.mask
    return mask


@given(arrays(np.bool_, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_the_encoding_is_exact(mask: NDArray[np.bool_]) -> None:
    for region in find_regions(mask.astype(np.float32), 0.5):
        made = annotation(region, (mask.shape[0], mask.shape[1]))
        np.testing.assert_array_equal(decoded(made["segmentation"]), placed(region, (mask.shape[0], mask.shape[1])))
        counts = made["segmentation"]["counts"]
        assert all(count > 0 for count in counts[1:]), "runs follow one another without gaps"
        assert sum(counts[1::2]) == made["area"] == region.area


def test_the_document_has_what_the_format_asks_for(tmp_path: Path) -> None:
    target = tmp_path / "regions.coco.json"
    with CocoFile(target) as file:
        file.append("部品/1.png", SIZE, 31.2, "ng", found())
        file.append("部品/2.png", SIZE, 1.5, "ok", ())
        file.append("部品/3.png", SIZE, 29.0, "ng", found(4))
    text = target.read_text("utf-8")
    document = json.loads(text)
    assert set(document) == {"info", "licenses", "categories", "images", "annotations"}
    assert document["images"][1] == {
        **{"id": 2, "file_name": "部品/2.png", "width": 50, "height": 40},
        **{"score": 1.5, "verdict": "ok"},
    }
    assert "部品" in text
    regions = [*found(), *found(4)]
    assert [a["id"] for a in document["annotations"]] == list(range(1, len(regions) + 1))
    assert [a["image_id"] for a in document["annotations"]] == [1] * len(found()) + [3] * len(found(4))
    assert {(a["category_id"], a["iscrowd"]) for a in document["annotations"]} == {(1, 0)}
    assert [c["id"] for c in document["categories"]] == [1]
    for made, region in zip(document["annotations"], regions, strict=True):
        assert made["bbox"] == [region.x, region.y, region.width, region.height]
        assert (made["area"], made["score"]) == (region.area, region.peak)
        np.testing.assert_array_equal(decoded(made["segmentation"]), placed(region, SIZE))
    assert [path.name for path in tmp_path.iterdir()] == ["regions.coco.json"]


@pytest.mark.parametrize("regions", [(), found()])
def test_a_document_of_nothing_or_one_image(tmp_path: Path, regions: tuple[Region, ...]) -> None:
    with CocoFile(tmp_path / "a.json") as file:
        if regions:
            file.append("a", SIZE, 1.0, "ng", regions)
    document = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert len(document["annotations"]) == len(regions)


def test_the_table_has_a_line_a_region(tmp_path: Path) -> None:
    with RegionTable(tmp_path / "regions.csv") as table:
        table.append("部品/1.png", "ng", found())
        table.append("部品/2.png", "ok", ())
        table.append("=3.png", "review", found(4)[:1])
    with (tmp_path / "regions.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == REGION_COLUMNS
    assert [row["region"] for row in rows] == [*(str(n + 1) for n in range(len(found()))), "1"]
    assert (rows[-1]["path"], rows[-1]["verdict"]) == ("./=3.png", "review")
    for row, region in zip(rows, [*found(), found(4)[0]], strict=True):
        for name, value in region.to_dict().items():
            assert float(row[name]) == pytest.approx(value, abs=0.0051 if "centroid" in name else 0)


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    name = os.fsdecode(b"a\xff.png")
    with CocoFile(tmp_path / "a.json") as file:
        file.append(name, SIZE, 1.0, "ok", ())
    assert json.loads((tmp_path / "a.json").read_bytes())["images"][0]["file_name"] == name


def test_an_interrupt_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("an older run")

    def interrupted() -> None:
        with CocoFile(tmp_path / "a.json") as file:
            file.append("1.png", SIZE, 1.0, "ng", found())
            file.append("2.png", SIZE, 1.0, "ng", found())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "a.json").read_text() == "an older run"
    lines = [json.loads(line) for line in (tmp_path / "a.json.part").read_text("utf-8").splitlines()]
    assert [line["image"]["file_name"] for line in lines] == ["1.png", "2.png"]
    assert [len(line["annotations"]) for line in lines] == [len(found())] * 2
    with CocoFile(tmp_path / "a.json") as file:
        file.append("1.png", SIZE, 1.0, "ng", found())
    assert len(json.loads((tmp_path / "a.json").read_text("utf-8"))["images"]) == 1
    assert not (tmp_path / "a.json.part").exists()


KILLED = """
import os, sys
from kizu.report import CocoFile, RegionTable

with CocoFile(sys.argv[1]) as file:
    for number in range(500):
        file.append(f"{number}.png", (8, 8), 1.0, "ok", ())
    os._exit(9)
"""


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a.json")], check=False)
    assert killed.returncode == 9
    assert len((tmp_path / "a.json.part").read_text("utf-8").splitlines()) == 500


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    for make in (CocoFile, RegionTable):
        with (
            pytest.raises(OutputError, match=r"a: cannot be written: the folder is not there"),
            make(tmp_path / "gone" / "a"),
        ):
            pass
        with pytest.raises(OutputError, match="is a folder; give the name of a file in it"), make(tmp_path):
            pass
