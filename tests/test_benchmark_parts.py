"""What the benchmarks of peers, scaling and roofline compute besides times is right."""

from __future__ import annotations

import csv
import importlib
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from scipy.stats import linregress

from kizu.coreset import k_center_greedy
from test_benchmarks import BENCHMARKS, run

RNG = np.random.default_rng(5)
PEER = {
    "library": "a library 1",
    "fit": 12.0,
    "features": 2.0,
    "selection": 8.0,
    "patches": 1000,
    "bank_rows": 10,
    "ms": 4.0,
    "ms_p95": 5.0,
    "peak_mib": 300.0,
    "loaded_mib": 100.0,
    "model_mib": 7.0,
}
QUALITY = {"image_auroc": 0.9, "pixel_auroc": None, "pixel_aupro": None}


@pytest.fixture
def part(monkeypatch):
    """Import a module of the benchmarks, or of their peers, by its name; forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.syspath_prepend(BENCHMARKS / "peers")
    yield importlib.import_module
    for name in set(sys.modules) - before:
        origin = getattr(sys.modules[name], "__file__", None)
        if origin and Path(origin).is_relative_to(BENCHMARKS):
            del sys.modules[name]


def only(folder, table):
    (path,) = folder.glob(f"{table}-*.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_peers_run_apart_on_the_same_images_and_are_judged_alike(tmp_path):
    sizes = ("--solar", "mono", "--images", 3, "--test", 6, "--ratio", 0.02, "--picks", 20)
    peers = "walk,patchcore,scikit-learn brute"
    told = run("peers.py", *sizes, "--peers", peers, "--results", tmp_path)
    assert "Traceback" not in told
    quality = only(tmp_path, "peers_quality")
    rows = {row["peer"]: row | found for row, found in zip(only(tmp_path, "peers"), quality, strict=True)}
    assert list(rows) == ["kizu same settings", "walk-through", "patchcore-inspection", "scikit-learn brute"]
    assert all(0 <= float(row["image_auroc"]) <= 1 and row["test_images"] == "6" for row in rows.values())
    assert all(float(row["peak_mib"]) >= float(row["loaded_mib"]) > 0 for row in rows.values())
    short = rows["patchcore-inspection"]
    assert (short["picks"], short["picks_wanted"], short["bank_rows"]) == ("20", "61", "20")
    more = 41 * float(short["ms_a_pick"]) / 1e3
    assert float(short["fit_seconds_extrapolated"]) == pytest.approx(float(short["fit_seconds"]) + more, rel=1e-4)
    assert float(short["ms_filled_bank"]) > 0
    for whole in (rows["kizu same settings"], rows["walk-through"], rows["scikit-learn brute"]):
        assert whole["fit_seconds_extrapolated"] == whole["ms_filled_bank"] == ""
    assert rows["kizu same settings"]["fit_ratio"] == "1"
    assert rows["kizu same settings"]["bank_rows"] == rows["scikit-learn brute"]["bank_rows"] == "61"


def test_without_its_environment_anomalib_is_left_out(part):
    peers = part("peers")
    options = peers._options().parse_args(["--solar", "mono"])
    assert not any(entry.anomalib for entry in peers.chosen(options))
    options = peers._options().parse_args(["--solar", "mono", "--anomalib"])
    assert sum(entry.anomalib for entry in peers.chosen(options)) == 4


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "name data sets"),
        (("--solar", "mono", "--peers", "anomalous"), "there is no peer 'anomalous'"),
        (("--solar", "mono", "--images", 99999), "give --images"),
        (("--solar", "mono", "--anomalib-python", sys.executable), "anomalib cannot be imported"),
        (("--solar", "mono", "--anomalib-python", "nowhere/python"), "no such interpreter"),
    ],
)
def test_peers_say_what_is_wrong(tmp_path, arguments, problem):
    told = run("peers.py", *arguments, "--results", tmp_path, code=1 if arguments else 2)
    assert problem in told
    assert "Traceback" not in told


def test_a_peer_that_fails_says_so(part, tmp_path):
    peers, job = part("_peers"), part("_peer").Job(train=["missing.png"] * 2, test=[], folder=str(tmp_path))
    entry = peers.Entry("kizu", "with_kizu", {"same": True})
    with pytest.raises(peers.PeerError, match=r"kizu: it ended with code 1: .*missing\.png: no such file"):
        peers.run(entry, job, sys.executable)


@pytest.mark.parametrize(("broken", "left"), [("walk-through", 2), ("kizu same settings", 0)])
def test_a_peer_that_fails_does_not_lose_the_others(part, monkeypatch, tmp_path, broken, left):
    peers, shared = part("peers"), part("_peers")

    def run_or_fail(entry, job, python):
        if entry.name == broken:
            raise shared.PeerError(f"{broken}: it ended with code 9")
        return PEER

    monkeypatch.setattr(shared, "run", run_or_fail)
    monkeypatch.setattr(shared, "judged", lambda job, samples: QUALITY)
    wanted = ["--solar", "mono", "--images", "3", "--test", "4", "--peers", "walk,scikit-learn brute"]
    with pytest.raises(SystemExit, match=f"{broken}: it ended with code 9"):
        peers.main([*wanted, "--results", str(tmp_path)])
    assert [len(only(tmp_path, "peers")) for _ in tmp_path.glob("peers-*")] == [left] * bool(left)


def test_random_weights_have_no_auroc_and_what_is_whole_is_not_extrapolated(part):
    peers = part("_peers")
    row = peers.row(peers.Entry("a", "b", weights="random"), PEER, QUALITY)
    assert row["image_auroc"] is None
    assert row["fit_seconds_extrapolated"] is None
    assert row["other_seconds"] == pytest.approx(2.0)
    row = peers.row(peers.Entry("a", "b"), {**PEER, "picks": 10, "wanted": 110, "ms_a_pick": 50.0}, QUALITY)
    assert row["image_auroc"] == 0.9
    assert row["selection_seconds_extrapolated"] == pytest.approx(13.0)
    assert row["fit_seconds_extrapolated"] == pytest.approx(17.0)


def test_ratios_are_against_the_mean_of_first_and_last(part, capsys):
    peers = part("_peers")
    place = {"data": "d", "fit_images": 3, "test_images": 4, "ratio": 0.1, "picks_limit": None}

    def measured(name, fit, **more):
        return {**place, **peers.row(peers.Entry(name, "b"), {**PEER, "fit": fit, **more}, QUALITY)}

    slow = measured("peer", 30.0, picks=10, wanted=110, ms_a_pick=300.0, ms_filled=8.0)
    first, other = peers.with_ratios(
        [measured("kizu", 10.0, calibration=4.0), slow, measured("kizu", 20.0, calibration=6.0)]
    )
    assert (first["fit_seconds"], first["fit_ratio"], other["fit_ratio"]) == (15.0, 1.0, 2.0)
    assert (other["fit_ratio_extrapolated"], other["ms_ratio_filled_bank"]) == (4.0, 2.0)
    assert (other["unthresholded_ratio"], other["unthresholded_ratio_extrapolated"]) == (3.0, 6.0)
    assert "not quiet" in capsys.readouterr().err


def test_the_weights_have_a_name_in_timm_each(part):
    timm = part("_anomalib").timm_weights()
    assert len(timm) == 247
    assert timm["conv_stem.weight"].shape == (32, 3, 3, 3)
    assert timm["blocks.0.0.conv_pw.weight"].shape == (16, 32, 1, 1)  # the first stage does not expand
    assert timm["blocks.2.1.conv_pw.weight"].shape == (240, 40, 1, 1)
    assert timm["blocks.5.3.conv_pwl.weight"].shape[:1] == (192,)
    assert timm["blocks.6.0.bn3.running_var"].shape == (320,)


def test_the_walk_through_picks_what_exact_greedy_picks(part):
    rows = RNG.normal(size=(300, 6)).astype(np.float32)
    picks, at = part("walkthrough").greedy(rows, 40)
    assert picks.tolist() == k_center_greedy(rows, 40, start=0).indices.tolist()
    assert len(at) == 40
    assert sorted(at) == at


def test_approximate_greedy_begins_with_the_mean_distance_to_ten_rows(part):
    rows = RNG.normal(size=(80, 4)).astype(np.float32)
    picks, _ = part("patchcore_inspection").approximate_greedy(rows, 25, np.random.default_rng(3))
    starts = np.random.default_rng(3).choice(80, 10, replace=False)
    exact = np.sqrt(np.square(rows[:, None].astype(np.float64) - rows[None]).sum(-1))
    nearest, expected = exact[:, starts].mean(axis=1), []
    for _ in range(25):
        expected.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, exact[expected[-1]])
    assert picks.tolist() == expected


def test_the_pace_of_picks_is_told_for_all_and_for_their_first_half(part):
    told = part("_peer")._told({"picks": [0.0, 0.1, 0.2, 0.3, 0.6, 0.9, 1.2, 1.5], "wanted": 9})
    assert told["ms_a_pick_first_half"] == pytest.approx(100)
    assert told["ms_a_pick"] == pytest.approx(1500 / 7)
    assert (told["picks"], told["wanted"]) == (8, 9)


def test_an_exponent_is_the_slope_on_logarithms_with_its_interval(part):
    x = np.array([50.0, 100, 200, 500, 1000])
    y = x**1.3 * np.exp(RNG.normal(0, 0.1, 5))
    found = part("scaling").fitted(list(zip(x, y, strict=True)))
    slope = linregress(np.log(x), np.log(y))
    assert found["exponent"] == pytest.approx(slope.slope)
    assert found["high"] - found["exponent"] == pytest.approx(3.182 * slope.stderr, rel=1e-3)
    assert found["exponent"] - found["low"] == pytest.approx(3.182 * slope.stderr, rel=1e-3)
    assert part("scaling").fitted([(1, 1), (10, 10)])["low"] is None


def test_altered_images_are_near_and_different(part):
    image = RNG.integers(60, 180, (40, 50, 3), dtype=np.uint8)
    scaling, rng = part("scaling"), np.random.default_rng(0)
    made = [scaling.altered(image, rng) for _ in range(3)]
    assert all(one.shape == image.shape and one.dtype == np.uint8 for one in made)
    assert not any((one == image).all() for one in made)
    assert all(abs(one.mean() / image.mean() - 1) < 0.07 for one in made)


def test_scaling_measures_and_fits(tmp_path):
    detector = ("--detectors", "patchcore", "--layers", "blocks.2", "--queries", 2, "--results", tmp_path)
    sizes = ("--images", "2,4", "--side-images", 2, "--bank-rows", "")
    run("scaling.py", *sizes, "--sides", "64", *detector)
    begun = only(tmp_path, "scaling")
    run("scaling.py", *sizes, "--sides", "64,96", *detector, "--skip-done")
    rows = only(tmp_path, "scaling")
    assert [(row["sweep"], row["size"]) for row in rows] == [
        ("images", "2"),
        ("images", "4"),
        ("image size", "64"),
        ("image size", "96"),
    ]
    assert rows[:3] == begun  # the fits, to the last digit of their times, are those of the first run
    assert [row["patches"] for row in rows] == ["2048", "4096", "128", "288"]
    fitted = {(row["sweep"], row["measure"]): row for row in only(tmp_path, "scaling_exponents")}
    expected = np.log(float(rows[1]["model_mib"]) / float(rows[0]["model_mib"])) / np.log(2)
    assert float(fitted["images", "model_mib"]["exponent"]) == pytest.approx(expected, rel=1e-2)


def test_work_of_a_graph_is_counted_by_hand(part):
    weight = onnx.numpy_helper.from_array(np.zeros((8, 3, 3, 3), np.float32), "weight")
    nodes = [
        onnx.helper.make_node("Cast", ["images"], ["x"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Conv", ["x", "weight"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1]),
        onnx.helper.make_node("Relu", ["y"], ["z"]),
        onnx.helper.make_node("AveragePool", ["z"], ["out"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    ends = [
        onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["batch", 3, 16, 16]),
        onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, ["batch", 8, 4, 4]),
    ]
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    work = part("_work").of_graph(model.SerializeToString())
    convolution, relu, pool = 2 * 27 * 8 * 64, 8 * 64, 4 * 8 * 16
    assert work.flops == convolution + relu + pool
    assert work.moved == 4 * 8 * 27 + 3 * 256 + 4 * 8 * 16  # weights, an image of bytes, the result


def test_the_lower_ceiling_decides(part):
    work = part("_work").Work(flops=100.0, moved=10.0)
    assert work.seconds(10.0, 10.0) == 10.0
    assert work.bound(10.0, 10.0) == "arithmetic"
    assert work.seconds(1000.0, 10.0) == 1.0
    assert work.bound(1000.0, 10.0) == "memory"


def test_the_default_backbone_takes_what_the_papers_table_says(part):
    """Kernel, stride, expansion, channels and repeats of the stages (EfficientNet, table 1), multiplied by hand."""
    from kizu import backbones

    side, before = 112, 32
    products = 27 * before * side**2
    stages = [(3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3)]
    for kernel, stride, expansion, channels, repeats in stages:
        for number in range(repeats):
            wide = before * expansion
            products += before * wide * side**2 if expansion > 1 else 0
            side //= stride if number == 0 else 1
            products += (kernel**2 + channels) * wide * side**2
            before = channels
    graph = backbones.embedding_graph(backbones.get("efficientnet_lite0"), ["blocks.4"], 224, patch_size=1)
    work = part("_work").of_graph(graph)
    assert 1 < work.flops / (2 * products) < 1.05  # activations and additions come on top


def test_the_roofline_holds_stages_against_ceilings(tmp_path):
    sizes = ("--images", 3, "--ratio", 0.1, "--matrix", 128, "--copied", 8, "--repeats", 2)
    run("roofline.py", *sizes, "--results", tmp_path)
    rows = {row["stage"]: row for row in only(tmp_path, "roofline")}
    assert {"backbone", "search, exact", "search, approximate", "PaDiM's distances", "map"} < set(rows)
    for row in rows.values():
        assert float(row["share"]) == pytest.approx(float(row["least_ms"]) / float(row["ms"]), rel=1e-3)
    assert rows["coreset, as blocks of all pairs"]["ms"] == rows["coreset, as one pass a pick"]["ms"]
    assert float(rows["search, approximate"]["gflop"]) > 0
    exact = rows["search, exact"]
    assert float(exact["gflop"]) == pytest.approx(2 * 1024 * 307 * 152 / 1e9, rel=1e-5)


def test_features_are_held_against_decoding_and_backbone(tmp_path):
    run("features.py", "--solar", "mono", "--images", 2, "--repeats", 1, "--results", tmp_path)
    rows = only(tmp_path, "features")
    assert len(rows) == 2
    for row in rows:
        both = float(row["decoding_ms"]) + float(row["backbone_ms"])
        assert float(row["ratio"]) == pytest.approx(float(row["ms_an_image"]) / both, rel=1e-3)


def test_a_kind_of_finding_that_is_gone_leaves_the_table(part, tmp_path, monkeypatch):
    check = part("check")
    found = {"bolts": ["noise", "leak"], "nuts": ["leak"]}

    def flags(name, data):
        return [{"data": name, "kind": kind, "severity": "note"} for kind in found[name]]

    monkeypatch.setattr(check, "flags", flags)
    monkeypatch.setattr(check._data, "named", lambda paths, cells: [(str(path), None) for path in paths])
    measure = ("--no-copies", "--seeds", "", "--results", str(tmp_path))
    for kinds, left in ((["noise"], ["leak", "noise"]), ([], ["leak"])):
        check.main(["bolts", "nuts", *measure])
        found["bolts"] = kinds
        check.main(["bolts", *measure])
        (path,) = tmp_path.iterdir()
        assert [row["kind"] for row in check._results.read(path)] == left


def test_the_tables_of_speed_can_be_written(part):
    """Each form makes cells of a row as its script writes it, with nothing measured where that may be."""
    forms, peers = part("_speed_forms"), part("_peers")
    place = {"data": "d", "fit_images": 3, "test_images": 4, "ratio": 0.1, "picks_limit": None}
    rows = [{**place, **peers.row(peers.Entry("kizu", "b"), PEER, QUALITY)} for _ in range(2)]
    tables = peers.tables(peers.with_ratios(rows))
    text = part("_results").text
    written = {table: {name: text(value) for name, value in rows[0].items()} for table, rows in tables.items()}
    cells = forms.peers(written["peers"])
    assert cells["kizu's = 1"] == "1.00"
    assert cells["whole fit, *extrapolated*"] == "–"
    cells = forms.peers_quality(written["peers_quality"])
    assert cells["pixel AUROC"] == "–"
    assert cells["peak memory"] == "300 MiB"


def test_rows_say_of_which_commit_they_are(part, tmp_path, monkeypatch):
    results = part("_results")
    monkeypatch.setattr(results, "commit", lambda: "0123456789+")
    path = results.save("made", [{"case": "a", "ms": 1.0}], key=("case",), folder=tmp_path)
    (row,) = results.read(path)
    assert list(row) == ["case", "ms", "commit", "hardware", "versions"]
    assert row["commit"] == "0123456789+"


def test_without_git_no_commit_is_told(part, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert part("_results").commit() == ""
