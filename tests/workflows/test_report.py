from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import kizu
from cli.running import files
from kizu.errors import DataError, ImageError, KizuWarning, MissingExtraError, OutputError, ParameterError
from kizu.inspector import identity
from kizu.report.coco import CocoFile
from kizu.workflows import Report, ReportTarget, make_report
from workflows import tiles
from workflows.tiles import tile


def data(page: Path) -> dict[str, object]:
    """What the script of a page gets."""
    (found,) = re.findall(r'id="report-data">(.*?)</script>', page.read_text(encoding="utf-8"))
    document: dict[str, object] = json.loads(found)
    return document


def images(page: Path) -> list[dict[str, object]]:
    found = data(page)["images"]
    assert isinstance(found, list)
    return found


FULL = """
import resource, sys
import kizu
from kizu.workflows import make_report

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000,) * 2)
try:
    make_report(sys.argv[1], sys.argv[2], sys.argv[3], check=False)
except kizu.KizuError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_report_that_is_there(
    model: Path, parts: Path, written: Report, tmp_path: Path
) -> None:
    page = tmp_path / "報告" / "report.html"
    shutil.copytree(written.page.parent, page.parent)
    before = files(page.parent)
    command = [sys.executable, "-X", "utf8", "-c", FULL, str(model), str(parts / "good"), str(page.parent)]
    said = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert said.stdout == f"{page}: cannot be written: no space left on the drive; free some and run again.\n"
    assert files(page.parent) == before


@pytest.fixture(scope="module")
def written(model: Path, parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Read only."""
    return make_report(model, parts, tmp_path_factory.mktemp("out") / "報告", check=False)


def test_a_model_in_no_file_goes_by_its_product(model: Path, parts: Path, tmp_path: Path) -> None:
    page = make_report(kizu.load(model), parts, tmp_path, check=False).page
    assert "<dd>部品.kizu</dd>" in page.read_text(encoding="utf-8")


def test_it_tells_what_evaluate_tells(written: Report, model: Path, parts: Path) -> None:
    found = kizu.evaluate(model, parts)
    shown = {str(entry["name"]): entry for entry in images(written.page)}
    assert len(shown) == written.images == len(found.results)
    for result in found.results:
        entry = shown[result.path.relative_to(parts).as_posix()]
        assert (entry["score"], entry["verdict"], entry["label"]) == (result.score, result.verdict, result.label)
    text = written.page.read_text(encoding="utf-8")
    assert found.pixel is not None
    assert found.pixel.aupro is not None
    assert f'<td class="number">{found.pixel.aupro:.3f}</td>' in text
    assert (written.labelled, written.skipped, written.pdf) == (True, 0, None)
    assert written.verdicts == {v: sum(r.verdict == v for r in found.results) for v in ("ok", "review", "ng")}
    assert written.to_dict()["bytes"] == written.page.stat().st_size


def test_coco_lies_beside_and_is_the_one_in_the_page(written: Report, model: Path, parts: Path) -> None:
    document = json.loads(written.coco.read_text(encoding="utf-8"))
    text = written.page.read_text(encoding="utf-8")
    (inside,) = re.findall(r'id="report-coco">(.*?)</script>', text, re.DOTALL)
    assert json.loads(inside) == document
    inspector = kizu.load(model)
    by_file = {entry["file_name"]: entry["id"] for entry in document["images"]}
    path = next(parts.rglob("傷100.png"))
    regions = inspector.predict(path).regions
    found = [a for a in document["annotations"] if a["image_id"] == by_file[str(path)]]
    assert [a["bbox"] for a in found] == [[r.x, r.y, r.width, r.height] for r in regions]
    assert regions


def test_evaluate_writes_the_same_report(written: Report, model: Path, parts: Path, tmp_path: Path) -> None:
    target = ReportTarget(tmp_path / "seite.html", "ja", model)
    kizu.evaluate(model, parts, report=target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seite.coco.json", "seite.html"]
    english, japanese = images(written.page), images(target.page)
    assert [entry["score"] for entry in english] == [entry["score"] for entry in japanese]
    text = target.page.read_text(encoding="utf-8")
    assert '<html lang="ja">' in text
    assert f"<dd>{model.name}</dd>" in text
    assert identity(model) in text
    kizu.evaluate(model, parts, report=tmp_path / "folder")
    assert (tmp_path / "folder" / "report.html").is_file()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_folder_without_labels(model: Path, tmp_path: Path, language: str) -> None:
    new = tmp_path / "new"
    tiles.good(new, 2)
    tiles.bad(new, 1)
    report = make_report(model, new, ReportTarget(tmp_path / "r", language), check=False)
    assert (report.images, report.labelled) == (3, False)
    assert {entry["outcome"] for entry in images(report.page)} == {"unjudged"}
    assert set(data(report.page)["charts"]) == {"scores", "kinds"}  # type: ignore[call-overload]


def test_a_single_image(model: Path, tmp_path: Path) -> None:
    path = tiles.write(tmp_path / "部品.png", tile(3))
    report = make_report(model, path, tmp_path / "r", check=False)
    assert [entry["name"] for entry in images(report.page)] == ["部品.png"]


@pytest.mark.parametrize("left", ["good", "引っかき傷"])
def test_one_kind_alone(model: Path, tmp_path: Path, left: str) -> None:
    root = tiles.mvtec(tmp_path / "d")
    for folder in list((root / "test").iterdir()):
        if folder.name != left:
            folder.rename(tmp_path / "gone")
    report = make_report(model, root, tmp_path / "r", check=False)
    assert {entry["label"] for entry in images(report.page)} == {"good" if left == "good" else "bad"}
    assert "roc" not in data(report.page)["charts"]  # type: ignore[operator]


def test_large_images_make_small_pictures(model: Path, tmp_path: Path) -> None:
    big = np.tile(tile(1), (16, 21, 1))[:1500, :2000]
    tiles.write(tmp_path / "new" / "big.png", big)
    report = make_report(model, tmp_path / "new", tmp_path / "r", check=False)
    assert "2000 × 1500 pixels" in report.page.read_text(encoding="utf-8")
    assert report.page.stat().st_size < 6_000_000


def test_unreadable_files_stop_it_or_are_listed(model: Path, tmp_path: Path) -> None:
    tiles.good(tmp_path / "new", 2)
    (tmp_path / "new" / "kaputt.png").write_bytes(b"")
    with pytest.raises(ImageError, match="--skip-unreadable"):
        make_report(model, tmp_path / "new", tmp_path / "r", check=False)
    assert not (tmp_path / "r" / "report.html").exists()
    with pytest.warns(KizuWarning, match="skipped "):
        report = make_report(model, tmp_path / "new", tmp_path / "r", check=False, skip_unreadable=True)
    assert (report.images, report.skipped) == (2, 1)
    assert "kaputt.png: the file is empty" in report.page.read_text(encoding="utf-8")


def test_small_regions_can_be_left_out(written: Report, model: Path, parts: Path, tmp_path: Path) -> None:
    areas = [a["area"] for a in json.loads(written.coco.read_text(encoding="utf-8"))["annotations"]]
    assert areas
    report = make_report(model, parts, tmp_path, check=False, min_area=max(areas) + 1)
    assert json.loads(report.coco.read_text(encoding="utf-8"))["annotations"] == []
    assert "No image has a region above the pixel threshold" in report.page.read_text(encoding="utf-8")
    kizu.evaluate(model, parts, report=tmp_path / "e.html", min_area=max(areas) + 1)
    assert json.loads((tmp_path / "e.coco.json").read_text(encoding="utf-8"))["annotations"] == []


@pytest.mark.filterwarnings("ignore:the model has learnt")
def test_a_japanese_report_says_in_japanese_what_is_wrong_with_data(model: Path, tmp_path: Path) -> None:
    root = tiles.spoilt(tmp_path / "部品")
    next(root.rglob("傷101_mask.png")).unlink()  # no report is made with a mask of the wrong size
    with pytest.warns(KizuWarning, match="skipped "):
        page = make_report(model, root, ReportTarget(tmp_path / "r", "ja"), skip_unreadable=True).page
    said = html.unescape(page.read_text(encoding="utf-8"))
    findings = kizu.check(root, suspects=False).findings
    assert len({finding.kind for finding in findings}) >= 10
    assert [finding.message for finding in findings if finding.message in said] == []
    told = {finding.kind for finding in findings if finding.wording.say("ja") in said}
    assert told == {finding.kind for finding in findings}
    assert "壊れた.png: ファイルが途中で切れています（" in said
    assert "the file is cut short" not in said


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Path]:
    """A folder with an old report, which must be as it was at the end."""
    with CocoFile(tmp_path / "report.coco.json"):
        (tmp_path / "report.html").write_text('<!doctype html><meta name="generator" content="kizu 0.1.0">')
    before = files(tmp_path)
    yield tmp_path
    assert files(tmp_path) == before


def test_a_coco_file_of_others_stays(model: Path, parts: Path, tmp_path: Path) -> None:
    (tmp_path / "teile.coco.json").write_text('{"info": {"description": "mine"}}')
    before = files(tmp_path)
    with pytest.raises(OutputError, match=r"teile\.coco\.json: is there already, and is no report that kizu wrote"):
        make_report(model, parts, tmp_path / "teile.html", check=False)
    with pytest.raises(OutputError, match="Give the report another name, or move that file"):
        kizu.evaluate(model, parts, report=tmp_path / "teile.html")
    assert files(tmp_path) == before


@pytest.mark.parametrize("out", [".", "report.html"])
def test_a_page_of_others_stays(model: Path, tmp_path: Path, out: str) -> None:
    (tmp_path / "report.html").write_text('<meta name="generator" content="Word">')
    before = files(tmp_path)
    with pytest.raises(OutputError, match=r"report\.html: is there already, and is no report that kizu wrote"):
        make_report(model, "no such folder", tmp_path / out)
    assert files(tmp_path) == before


def test_a_pdf_of_others_stays(model: Path, old: Path) -> None:
    pdf = old / "report.pdf"
    pdf.write_bytes(b"%PDF-1.4 a drawing %%EOF")
    with pytest.raises(OutputError, match=r"report\.pdf: is there already, and is no report that kizu wrote"):
        make_report(model, "no such folder", old, pdf=True)
    assert pdf.read_bytes() == b"%PDF-1.4 a drawing %%EOF"
    pdf.unlink()


def test_a_folder_in_place_of_the_pdf_is_said_before_any_work(model: Path, tmp_path: Path) -> None:
    (tmp_path / "report.pdf").mkdir()
    with pytest.raises(OutputError, match=r"report\.pdf: is a folder"):
        make_report(model, "no such folder", tmp_path, pdf=True)


def test_an_interrupt_leaves_the_old_report(
    model: Path, parts: Path, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kizu.workflows._gathering.Gathering.add", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_report(model, parts, old, check=False)


def test_a_page_that_cannot_be_made_leaves_the_old_report(
    model: Path, parts: Path, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise MemoryError

    monkeypatch.setattr("kizu.workflows._report_target.render", fail)
    with pytest.raises(MemoryError):
        make_report(model, parts, old, check=False)


@pytest.mark.parametrize("missing", ["plotly.graph_objects", "jinja2"])
def test_what_is_missing_is_said_before_any_work(
    model: Path, old: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    with pytest.raises(MissingExtraError, match=r'pip install "kizu\[report\]"'):
        make_report(model, "no such folder", old)


def test_mistakes_are_said_before_any_work(model: Path, parts: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="unknown language 'fr'"):
        make_report(model, "no such folder", ReportTarget(tmp_path, "fr"))
    (tmp_path / "a.html").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        make_report(model, "no such folder", tmp_path / "a.html")
    with pytest.raises(MissingExtraError, match="no program that can be run, as --chromium says"):
        make_report(model, "no such folder", tmp_path / "r", pdf=True, chromium=tmp_path / "none")
    with pytest.raises(DataError, match="no such file or folder"):
        make_report(model, tmp_path / "none", tmp_path / "r")


def test_a_list_without_labelled_test_images(model: Path, tmp_path: Path) -> None:
    tiles.good(tmp_path, 2)
    (tmp_path / "l.csv").write_text("path\n良品000.png\n良品001.png\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"no labelled test images \(list\)\. For a report without labels"):
        make_report(model, tmp_path / "l.csv", tmp_path / "r")


@pytest.mark.filterwarnings("ignore:the model has learnt")
def test_the_data_check_is_in_it_unless_not_wanted(written: Report, model: Path, parts: Path, tmp_path: Path) -> None:
    root = tiles.good_bad(tmp_path / "d")
    good = sorted((root / "good").iterdir())
    for number in range(3):
        (root / "bad" / f"copy{number}.png").write_bytes(good[number].read_bytes())
    text = make_report(model, root, tmp_path / "r").page.read_text(encoding="utf-8")
    assert "The same picture labelled good and bad</strong> (3)" in text
    assert "copy0.png" in text
    assert "Mend the problems that the data check found" in text
    unchecked = "This report was made without a data check; <code>kizu check DATA</code> makes one."
    assert unchecked not in text
    assert unchecked in written.page.read_text(encoding="utf-8")
    tiles.good(tmp_path / "new", 2)
    assert unchecked in make_report(model, tmp_path / "new", tmp_path / "u").page.read_text(encoding="utf-8")
