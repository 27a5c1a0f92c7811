"""The benchmark of quality: what is compared, that its rows are right and outlive a stop, and its tables."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import kizu
from kizu.datasets import load_dataset
from test_benchmark_parts import only, part  # noqa: F401
from test_benchmarks import BENCHMARKS, run
from workflows.tiles import mvtec

FEW = pytest.mark.filterwarnings("ignore:(.*can promise|PaDiM fits 100 dimensions):kizu.KizuWarning")
LITE0 = "efficientnet_lite0"
SMALL = ("--image-size", 64, "--seeds", "0,1")
FIGURES = {
    "image_auroc": 0.5,
    "fit_seconds": 2.0,
    "ms_an_image": 4.0,
    "ms_p95": 5.0,
    "timed_images": 8,
    "test_good": 4,
    "test_bad": 4,
    "bank_rows": None,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return mvtec(tmp_path_factory.mktemp("data") / "部品")


@pytest.fixture
def quality(part, monkeypatch):  # noqa: F811
    """The script, with fits that take no time: a seed's AUROC is a tenth of it."""
    script = part("quality")
    script.ran = []

    def fit(case, timed):
        script.ran.append(str(case))
        return {**FIGURES, "image_auroc": case.seed / 10}

    monkeypatch.setattr(script, "run", fit)
    return script


def measured(script, data, folder, *more):
    script.main([str(data), "--results", str(folder), *map(str, SMALL), *map(str, more)])
    return only(folder, "quality")


def names(script, *arguments):
    """What is compared, equal fits together."""
    options = script._options().parse_args([".", *map(str, arguments)])
    chosen = script._combinations.chosen
    groups = chosen(options.presets, options.detectors, options.backbones, options.image_size)
    return [[str(one) for one in group] for group in groups]


@FEW
def test_a_preset_and_a_detector_are_measured_as_a_user_has_them(tmp_path, data):
    told = run(
        "quality.py", data, "--presets", "lite,lite-fast", "--detectors", "padim", *SMALL, "--results", tmp_path
    )
    rows = {(row["preset"], row["detector"], row["seed"]): row for row in only(tmp_path, "quality")}
    assert len(rows) == 3 * 3
    assert "6 of 6: 部品, padim on efficientnet_lite0, 64², seed 1" in told
    for row in rows.values():
        assert row["data"] == "部品"
        assert (row["backbone"], row["image_size"], row["fit_images"]) == (LITE0, "64", "12")
        assert 0 < float(row["ms_an_image"]) <= float(row["ms_p95"])
        assert 0 < float(row["loaded_mib"]) < float(row["peak_mib"])
        assert row["timed_images"] == "8"
    for settings, row in (
        ({"preset": "lite-fast"}, rows["lite-fast", "patchcore", "1"]),
        ({"detector": "padim"}, rows["", "padim", "1"]),
    ):
        inspector = kizu.fit(data, **settings, image_size=64, seed=1)
        found = kizu.evaluate(inspector, data)
        assert float(row["image_auroc"]) == pytest.approx(found.image.auroc, rel=1e-5)
        assert float(row["image_ap"]) == pytest.approx(found.image.ap, rel=1e-5)
        assert float(row["pixel_auroc"]) == pytest.approx(found.pixel.auroc, rel=1e-5)
        assert float(row["pixel_ap"]) == pytest.approx(found.pixel.ap, rel=1e-5)
        assert float(row["pixel_aupro"]) == pytest.approx(found.pixel.aupro, rel=1e-5)
    both = [float(rows["", "padim", seed]["pixel_ap"]) for seed in ("0", "1")]
    assert float(rows["", "padim", "mean"]["pixel_ap"]) == pytest.approx(np.mean(both), rel=1e-5)


def test_one_fit_under_two_names_is_measured_once(quality, data, tmp_path):
    rows = measured(quality, data, tmp_path, "--presets", "lite", "--detectors", "patchcore")
    assert quality.ran == [f"部品, lite = patchcore on {LITE0}, 64², seed {seed}" for seed in (0, 1)]
    assert [(row["preset"], row["detector"]) for row in rows if row["seed"] == "1"] == [
        ("lite", "patchcore"),
        ("", "patchcore"),
    ]


def test_what_is_compared(quality, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("KIZU_CACHE", str(tmp_path))  # nothing has been downloaded
    joined = f"joined:{LITE0}+efficientnet_lite2"
    assert names(quality) == [
        ["lite-fast"],
        ["lite", f"patchcore on {LITE0}"],
        ["accurate"],
        *([f"{detector} on {LITE0}"] for detector in ("ensemble", "padim")),
        *([f"{detector} on {joined}"] for detector in ("ensemble", "padim", "patchcore")),
    ]
    assert capsys.readouterr().err == ""
    assert [group[0] for group in names(quality, "--presets", "all", "--detectors", "")] == [
        "accurate",
        "lite",
        "lite-fast",
    ]
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 4
    assert told[0].startswith(
        "# left out: padim-resnet18: the weights of resnet18 are not here (not downloaded). Run: "
    )
    embedded = names(quality, "--presets", "", "--detectors", "padim", "--backbones", "all")
    lite = [LITE0, "efficientnet_lite1", "efficientnet_lite2"]
    assert embedded == [[f"padim on {name}"] for name in (*lite, joined)]
    assert names(quality, "--presets", "", "--detectors", "padim") == [[f"padim on {LITE0}"]]
    sizes = names(quality, "--presets", "lite", "--detectors", "", "--image-size", "192,256")
    assert sizes == [["lite"], ["lite"]]


def test_what_cannot_be_is_left_out(quality, data, tmp_path, capsys):
    rows = measured(quality, data, tmp_path, "--presets", "lite", "--detectors", "", "--image-size", "8,64")
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert "lite: " in told
    assert "`image_size`" in told
    assert {row["image_size"] for row in rows} == {"64"}


def test_data_that_cannot_be_fitted_is_left_out(tmp_path):
    empty = mvtec(tmp_path / "parts")
    for file in (empty / "test" / "good").iterdir():
        file.unlink()
    for file in list((empty / "train" / "good").iterdir())[1:]:
        file.unlink()
    arguments = ("--presets", "lite-fast", "--detectors", "", *SMALL, "--results", tmp_path)
    told = run("quality.py", empty, *arguments)
    assert "left out: parts, lite-fast, 64², seed 0: " in told
    assert "Traceback" not in told
    assert list(tmp_path.glob("*.csv")) == []


def test_a_run_that_was_stopped_keeps_its_rows_and_goes_on(quality, data, tmp_path, monkeypatch, capsys):
    wanted = (quality, data, tmp_path, "--presets", "lite-fast", "--detectors", "padim")
    fit = quality.run

    def stopped(case, timed):
        if len(quality.ran) == 3:
            raise KeyboardInterrupt
        return fit(case, timed)

    monkeypatch.setattr(quality, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        measured(*wanted)
    kept = {(row["preset"], row["seed"]): row["seeds"] for row in only(tmp_path, "quality")}
    assert kept == {
        ("lite-fast", "0"): "1",
        ("lite-fast", "1"): "1",
        ("lite-fast", "mean"): "2",
        ("", "0"): "1",
        ("", "mean"): "1",
    }
    monkeypatch.setattr(quality, "run", fit)
    quality.ran.clear()
    rows = {(row["preset"], row["seed"]): row for row in measured(*wanted, "--skip-done")}
    assert quality.ran == [f"部品, padim on {LITE0}, 64², seed 1"]
    assert len(rows) == 6
    assert "# 3 of 4 are measured already\n# 1 of 1: " in capsys.readouterr().err
    assert rows["", "mean"]["image_auroc"] == "0.05"
    assert (rows["", "mean"]["seeds"], rows["", "mean"]["bank_rows"]) == ("2", "")


def test_rows_of_other_versions_count_for_nothing(quality, data, tmp_path, monkeypatch):
    wanted = (quality, data, tmp_path, "--presets", "lite-fast", "--detectors", "")
    with monkeypatch.context() as older:
        older.setattr(quality._results, "origin", lambda: {"hardware": "here", "versions": "kizu 0"})
        measured(*wanted)
    quality.ran.clear()
    rows = measured(*wanted, "--skip-done", "--seeds", "1")
    assert len(quality.ran) == 1
    assert [(row["seed"], row["seeds"], row["image_auroc"]) for row in rows] == [
        ("0", "1", "0"),
        ("mean", "1", "0.1"),
        ("1", "1", "0.1"),
    ]


def test_rows_measured_again_replace_the_older_ones(quality, data, tmp_path, monkeypatch):
    wanted = (quality, data, tmp_path, "--presets", "lite-fast", "--detectors", "", "--seeds", 2)
    measured(*wanted)
    monkeypatch.setattr(quality, "run", lambda case, timed: {**FIGURES, "image_auroc": 0.8})
    rows = measured(*wanted)
    assert [(row["seed"], row["seeds"], row["image_auroc"]) for row in rows] == [
        ("2", "1", "0.8"),
        ("mean", "1", "0.8"),
    ]


def test_rows_whose_images_were_not_timed_alone_count_for_nothing(quality, data, tmp_path, monkeypatch):
    wanted = (quality, data, tmp_path, "--presets", "lite-fast", "--detectors", "")
    with monkeypatch.context() as older:
        older.setattr(quality, "run", lambda case, timed: {**FIGURES, "timed_images": None})
        measured(*wanted)
    measured(*wanted, "--skip-done", "--seeds", "1")
    assert len(quality.ran) == 1
    rows = {row["seed"]: row["seeds"] for row in only(tmp_path, "quality")}
    assert rows == {"0": "1", "1": "1", "mean": "1"}


def test_quick_looks_stand_apart(quality, data, tmp_path):
    wanted = (quality, data, tmp_path, "--presets", "lite-fast", "--detectors", "", "--seeds", 0)
    measured(*wanted)
    rows = measured(*wanted, "--limit", 3, "--skip-done")
    assert [row["limit"] for row in rows] == ["", "", "3", "3"]


def test_what_fails_does_not_lose_the_others(quality, data, tmp_path, monkeypatch):
    fit = quality.run

    def failing(case, timed):
        if case.group[0].preset == "lite-fast":
            raise quality.RunError(f"{case}: it ended with code -9: no message")
        return fit(case, timed)

    monkeypatch.setattr(quality, "run", failing)
    with pytest.raises(SystemExit, match=r"without figures: 部品, lite-fast, .*seed 1: it ended with code -9"):
        measured(quality, data, tmp_path, "--presets", "lite-fast,lite", "--detectors", "")
    assert [row["seed"] for row in only(tmp_path, "quality")] == ["0", "mean", "1"]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise MemoryError('no room')", "it ended with code 1: MemoryError: no room"),
        ("raise SystemExit(9)", "it ended with code 9: no message; was it killed for its memory?"),
    ],
)
def test_a_process_that_breaks_says_so(part, monkeypatch, data, tmp_path, code, told):  # noqa: F811
    script, broken = part("quality"), tmp_path / "broken.py"
    broken.write_text(code, encoding="utf-8")
    monkeypatch.setattr(script, "RUN", broken)
    options = script._options().parse_args([str(data), "--presets", "lite", "--detectors", "", "--seeds", "0"])
    (case,) = script.cases(options)
    with pytest.raises(script.RunError) as raised:
        script.run(case, 3)
    assert str(raised.value) == f"部品, lite, 256², seed 0: {told}"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "name data sets"),
        (("--solar", "--presets", "light"), "unknown preset 'light'"),
        (("--solar", "--detectors", "patchcode"), "unknown detector 'patchcode'"),
        (("--solar", "--backbones", "lite0"), "unknown backbone 'lite0'"),
        (("--solar", "--timed", 0), "--timed must be at least 1"),
        (("nowhere",), "nowhere: no such file or folder"),
    ],
)
def test_quality_says_what_is_wrong(tmp_path, arguments, problem):
    told = run("quality.py", *arguments, "--results", tmp_path, code=2)
    assert problem in told
    assert "Traceback" not in told


def test_two_data_sets_of_one_name_are_refused(tmp_path):
    twice = [mvtec(tmp_path / folder / "part") for folder in ("a", "b")]
    assert "two data sets are called 'part'" in run("quality.py", *twice, "--results", tmp_path, code=2)


def test_nothing_to_measure_is_told(data, tmp_path):
    told = run("quality.py", data, "--presets", "", "--detectors", "", "--results", tmp_path, code=1)
    assert "nothing can be measured" in told


def test_the_time_left_is_that_of_the_other_seed_where_it_is_known(quality, data):
    options = quality._options().parse_args([str(data), "--presets", "lite-fast,lite,accurate", "--detectors", ""])
    fast, lite, accurate, *rest = quality.cases(options)
    assert quality.left({}, rest) == ""
    spent = {fast.kind: 10.0, lite.kind: 20.0}
    assert quality.left(spent, [accurate]) == ", about 15 s left"
    assert quality.left(spent, [accurate, *rest[:2]]) == ", about 45 s left"
    assert quality.left({**spent, accurate.kind: 300.0}, rest) == ", about 11 min left"


def test_images_are_timed_all_over_the_test_set(part, data):  # noqa: F811
    spread = part("_quality_run").spread
    samples = load_dataset(data).test()
    assert spread(samples, 100) == list(samples)
    assert spread(samples, 3) == [samples[0], samples[2], samples[5]]
    assert spread([], 3) == []


def test_limited_takes_so_many_of_each_kind(part, data):  # noqa: F811
    limited = part("_data").limited(load_dataset(data), 3)
    assert limited.counts() == {"train": {"good": 3}, "test": {"good": 3, "引っかき傷": 3}}


@FEW
def test_the_committed_rows_have_the_columns_of_new_ones(part, data):  # noqa: F811
    script, work = part("quality"), part("_quality_run")
    options = script._options().parse_args([str(data), "--presets", "lite-fast", "--detectors", "", "--limit", "4"])
    case = script.cases(options)[0]
    job = {"place": {"path": str(data)}, "settings": {"image_size": 64}, "seed": 0, "limit": 4, "timed": 2}
    figures = work.measure(json.loads(json.dumps(job)))
    columns = [*case.columns(case.group[0]), "seeds", *figures, "hardware", "versions"]
    paths = sorted((BENCHMARKS / "results").glob("quality-*.csv"))
    assert paths
    for path in paths:
        with path.open(encoding="utf-8", newline="") as file:
            assert [name for name in next(csv.reader(file)) if name != "commit"] == columns


ROW = {
    "data": "tiles",
    "preset": "",
    "detector": "patchcore",
    "backbone": LITE0,
    "image_size": "256",
    "limit": "",
    "seed": "mean",
    "seeds": "3",
    "image_auroc": "0.9",
    "image_ap": "0.8",
    "image_f1_max": "0.7",
    "false_alarms": "0.01",
    "missed": "0.2",
    "pixel_auroc": "",
    "pixel_ap": "",
    "pixel_aupro": "",
    "fit_seconds": "12.3",
    "ms_an_image": "5.67",
    "ms_p95": "8.91",
    "peak_mib": "1234.5",
    "loaded_mib": "90",
    "model_mib": "20.2",
}


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({}, ["quality_backbones"]),
        ({"detector": "padim"}, ["quality", "quality_backbones"]),
        ({"detector": "padim", "backbone": "efficientnet_lite2"}, ["quality_backbones"]),
        ({"backbone": "efficientnet_lite2"}, ["quality_backbones"]),
        ({"image_size": "320"}, ["quality_backbones"]),
        ({"preset": "lite"}, ["quality", "quality_presets"]),
        ({"preset": "lite", "image_size": "384"}, ["quality_presets"]),
        ({"preset": "patchcore-paper", "image_size": "224"}, ["quality_presets"]),
        ({"preset": "lite", "limit": "20"}, []),
        ({"limit": "20"}, []),
        ({"seed": "0"}, []),
        ({"preset": "lite", "seed": "0"}, []),
    ],
)
def test_each_row_stands_in_its_tables(part, changed, shown):  # noqa: F811
    forms = part("_quality_forms")
    assert [name for name, form in forms.TABLES.items() if form({**ROW, **changed})] == shown


def test_presets_are_shown_with_times_and_memory(part):  # noqa: F811
    cells = part("_quality_forms").quality_presets({**ROW, "preset": "lite-fast", "image_size": "192"})
    assert cells["preset"] == "`lite-fast`"
    assert cells["input"] == "192²"
    assert (cells["image AUROC"], cells["AP"], cells["PRO"]) == ("0.900", "0.800", "–")
    assert (cells["fit"], cells["an image"], cells["95 % within"]) == ("12.3 s", "5.7 ms", "8.9 ms")
    assert (cells["peak memory"], cells["model"], cells["seeds"]) == ("1,234 MiB", "20.2 MiB", "3")


def test_a_table_without_rows_of_its_own_is_told(part, tmp_path):  # noqa: F811
    tables = part("tables")
    path = tmp_path / "quality-here.csv"

    def write(**changed):
        row = {**ROW, **changed, "hardware": "a machine", "versions": "kizu 1"}
        path.write_text(f"{','.join(row)}\n{','.join(row.values())}\n", encoding="utf-8")

    write(detector="padim")
    assert "padim" in tables.table("quality", tmp_path)
    with pytest.raises(SystemExit, match=r"no results for the table 'quality_presets' .* run benchmarks/quality\.py"):
        tables.table("quality_presets", tmp_path)
    write(preset="lite")
    assert "| tiles | `lite` | 256² |" in tables.table("quality_presets", tmp_path)
