from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kizu
from images.making import huge_png, tiff
from kizu.datasets import load_dataset
from kizu.errors import BackboneError, DataError, ImageError, KizuWarning, ParameterError
from kizu.workflows import _fit
from workflows import tiles
from workflows.tiles import SMALL, tile


def data_of(inspector: kizu.Inspector) -> dict[str, Any]:
    return dict(inspector.provenance["data"])


LAYOUTS = {
    "mvtec": ("MVTec AD", tiles.mvtec, 12, 0),
    "good/bad/mask": ("good/bad folders", tiles.good_bad, 24, 0),
    "folder": ("folder of good images", tiles.plain, 12, 0),
    "csv": ("list", lambda root: tiles.listed(root, ".csv"), 8, 6),
    "jsonl": ("list", lambda root: tiles.listed(root, ".jsonl"), 8, 6),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("detector", ["patchcore", {"name": "padim", "reduced_dims": 4}])
def test_every_layout(tmp_path: Path, layout: str, detector: Any) -> None:
    words, make, fitted, held_out = LAYOUTS[layout]
    data = make(tmp_path / "部品")
    inspector = kizu.fit(data, **SMALL, detector=detector)
    found = data_of(inspector)
    assert (found["layout"], found["fitted"], found["held_out"], found["skipped"]) == (words, fitted, held_out, 0)
    assert inspector.calibration is not None
    assert len(inspector.calibration.scores) == (held_out or fitted)
    assert inspector.calibration.method == ("given" if held_out else "leave_one_out")
    assert found["product"] == ("一覧" if words == "list" else "部品")
    assert inspector.predict(tile(105, scratched=True)).verdict == "ng"
    assert inspector.predict(tile(0)).size == (96, 96)


class Watched:
    """A detector that notes what it is fitted on, in place of another."""

    def __init__(self, detector: Any) -> None:
        self.detector = detector
        self.fitted: list[np.ndarray] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.detector, name)

    def fit(self, embeddings: Any, **given: Any) -> Any:
        def noted() -> Any:
            for batch in embeddings:
                self.fitted.extend(batch.copy())
                yield batch

        return self.detector.fit(noted(), **given)


@pytest.mark.parametrize("layout", ["mvtec", "good/bad/mask", "folder", "csv"])
def test_thresholds_come_from_images_that_were_not_fitted_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    """Fit with a watched detector: the held-out scores are those of other good images, and of none for testing."""
    asked_for: Any = {**SMALL, "calibration": "hold_out"}
    dataset = load_dataset(LAYOUTS[layout][1](tmp_path / "data"))
    watched: list[Watched] = []
    build = _fit.detectors.build

    def watch(*given: Any) -> Any:
        watched.append(Watched(build(*given)))
        return watched[-1]

    monkeypatch.setattr(_fit.detectors, "build", watch)
    inspector = kizu.fit(dataset, **asked_for)
    fitted = {embedding.tobytes() for embedding in watched[-1].fitted}
    assert inspector.calibration is not None
    held_out = set(inspector.calibration.scores.tolist())
    assert len(held_out) == (LAYOUTS[layout][3] or 5)
    bits, scores = {}, {}
    for sample in dataset.samples:
        image = kizu_image(sample.path)
        bits[sample.path] = inspector.embed(image)[0].tobytes()
        scores[sample.path] = inspector.measure(image)[0]
    used = {path for path, embedding in bits.items() if embedding in fitted}
    calibrated = {path for path, score in scores.items() if score in held_out}
    good = {sample.path for sample in dataset.train_good()}
    asked = {sample.path for sample in dataset.calibration()}
    assert not used & calibrated
    assert (used | calibrated) == good | asked
    assert not (used | calibrated) & {sample.path for sample in dataset.test()}
    if asked:
        assert calibrated == asked


def kizu_image(path: Path) -> np.ndarray:
    from kizu.images import read_image

    return read_image(path)


def test_bad_images_of_the_calibration_split_are_left_out(tmp_path: Path) -> None:
    path = tiles.listed(tmp_path, ".csv")
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{tiles.write(tmp_path / 'x.png', tile(200, scratched=True)).name},calibration,ng\n")
    inspector = kizu.fit(path, **SMALL)
    assert data_of(inspector)["held_out"] == 6


TOO_FEW = [
    ("patchcore", "leave_one_out", 2, "(1 to fit and one to leave out at a time for the threshold)"),
    ("padim", "leave_one_out", 3, "(2 to fit and one to leave out at a time for the threshold)"),
    ("patchcore", "hold_out", 6, "(1 to fit and 5 to hold out for the threshold)"),
    ("padim", "hold_out", 7, "(2 to fit and 5 to hold out for the threshold)"),
    ("patchcore", "k_fold", 5, "(1 to fit, and 5 folds for the threshold take an image each)"),
]


@pytest.mark.filterwarnings("ignore:.*can promise:kizu.KizuWarning")
@pytest.mark.parametrize(("detector", "method", "enough", "why"), TOO_FEW)
def test_too_few_images(tmp_path: Path, detector: str, method: str, enough: int, why: str) -> None:
    tiles.good(tmp_path / "良品", enough - 1)
    reduced = {"name": "padim", "reduced_dims": 1} if detector == "padim" else detector
    settings: Any = {**SMALL, "calibration": method, "detector": reduced}
    with pytest.raises(DataError) as caught:
        kizu.fit(tmp_path / "良品", **settings)
    assert str(caught.value) == (
        f"{tmp_path / '良品'}: {enough - 1} good image{'s' * (enough > 2)} to fit on; {detector} needs at least "
        f"{enough} {why}. Add good images."
    )
    tiles.good(tmp_path / "良品", enough)
    inspector = kizu.fit(tmp_path / "良品", **settings)
    assert inspector.calibration is not None
    assert len(inspector.calibration.scores) == (5 if method == "hold_out" else enough)


def test_too_few_for_a_large_hold_out(tmp_path: Path) -> None:
    tiles.good(tmp_path, 8)
    asked_for: Any = {**SMALL, "calibration": "hold_out"}
    with pytest.raises(DataError, match="8 good images are too few to hold 8 of them out"):
        kizu.fit(tmp_path, **asked_for, hold_out=0.99)
    with pytest.raises(DataError, match="PaDiM needs at least 2 good images"):
        kizu.fit(tmp_path, **asked_for, hold_out=0.9, detector="padim")


def test_few_images_for_the_dimensions_are_told(tmp_path: Path) -> None:
    tiles.good(tmp_path, 10)
    with pytest.warns(KizuWarning, match="PaDiM fits 100 dimensions on 10 images"):
        kizu.fit(tmp_path, **SMALL, detector="padim")


BROKEN = {
    "empty.png": b"",
    "text.png": b"not an image",
    "cut.png": None,
    "tiny.png": None,
    "huge.png": huge_png(30_000),
}


def broken(folder: Path, name: str) -> Path:
    data = BROKEN[name]
    path = folder / name
    if name == "tiny.png":
        return tiles.write(path, tile(0)[:1, :1])
    whole = tiles.write(path, tile(0)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if data is None else data)
    return path


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_stops_or_is_skipped(tmp_path: Path, name: str) -> None:
    tiles.good(tmp_path, 8)
    path = broken(tmp_path, name)
    with pytest.raises(ImageError) as caught:
        kizu.fit(tmp_path, **SMALL)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith(", or use --skip-unreadable.")
    if name == "tiny.png":
        assert str(caught.value).endswith("at least 8; take the file out, or use --skip-unreadable.")
    if name == "huge.png":
        assert "30000×30000 is 900,000,000 pixels, more than the limit of 100,000,000" in str(caught.value)
        assert "raise the limit with --max-pixels 900000000" in str(caught.value)
    with pytest.warns(KizuWarning, match=f"skipped {path}: "):
        found = data_of(kizu.fit(tmp_path, **SMALL, skip_unreadable=True))
    assert found["skipped"] == 1
    assert found["fitted"] + found["held_out"] == 8


def test_the_limit_of_pixels_can_be_moved(tmp_path: Path) -> None:
    tiles.good(tmp_path, 6)
    with pytest.raises(ImageError, match="96×96 is 9,216 pixels, more than the limit of 9,215"):
        kizu.fit(tmp_path, **SMALL, max_pixels=9215)
    assert data_of(kizu.fit(tmp_path, **SMALL, max_pixels=9216))["fitted"] == 6


@pytest.mark.filterwarnings("ignore::kizu.KizuWarning")
def test_skipping_as_many_to_fit_on_as_are_held_out_goes_on(tmp_path: Path) -> None:
    """Unreadable images of one stage once counted in the next, which then found none readable."""
    path = tiles.listed(tmp_path, ".csv")
    for number in range(6):
        (tmp_path / f"良品{number:03}.png").write_bytes(b"")
    found = data_of(kizu.fit(path, **SMALL, skip_unreadable=True))
    assert (found["fitted"], found["held_out"], found["skipped"]) == (2, 6, 6)


@pytest.mark.filterwarnings("ignore::kizu.KizuWarning")
@pytest.mark.parametrize(("first", "count"), [(0, 8), (20, 6)])
def test_nothing_left_after_skipping(tmp_path: Path, first: int, count: int) -> None:
    path = tiles.listed(tmp_path, ".csv")
    for number in range(first, first + count):
        (tmp_path / f"良品{number:03}.png").write_bytes(b"")
    named = tmp_path / f"良品{first:03}.png"
    with pytest.raises(DataError, match=f"none of {count} images can be read; the first: {named}: the file is empty"):
        kizu.fit(path, **SMALL, skip_unreadable=True)


def test_16_bit_grey_is_8_bit_rgb_here(tmp_path: Path) -> None:
    for number in range(7):
        grey = tile(number)[..., 0]
        (tmp_path / "deep").mkdir(exist_ok=True)
        (tmp_path / "deep" / f"{number}.tif").write_bytes(tiff(grey.astype(np.uint16) * 257, 1))
        tiles.write(tmp_path / "flat" / f"{number}.png", np.dstack([grey] * 3))
    deep, flat = (kizu.fit(tmp_path / name, **SMALL) for name in ("deep", "flat"))
    assert deep.calibration is not None
    assert flat.calibration is not None
    np.testing.assert_array_equal(deep.calibration.scores, flat.calibration.scores)
    assert deep.predict(tile(3)).score == flat.predict(tile(3)).score


def test_settings_by_config_by_keyword_and_both(tmp_path: Path) -> None:
    tiles.good(tmp_path, 7)
    config = kizu.Config(image_size=96, false_alarms=0.2, seed=3)
    assert kizu.fit(tmp_path, config).config.image_size == 96
    inspector = kizu.fit(tmp_path, config, image_size=64, detector={"name": "patchcore", "coreset_count": 5})
    assert (inspector.config.image_size, inspector.config.seed) == (64, 3)
    assert inspector.detector.summary()["bank rows"] == 5
    assert inspector.calibration is not None
    assert inspector.calibration.false_alarms == 0.2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"image_sise": 64}, r"kizu\.fit\(\): unknown setting 'image_sise'\. Did you mean 'image_size'"),
        ({"detector": {"coreset_ration": 1}}, "Did you mean 'coreset_ratio'"),
        ({"false_alarms": float("nan")}, "finite number"),
        ({"detector": {"name": "padim", "reduced_dims": 1000}}, "`reduced_dims` must be at most the 368 channels"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    tiles.good(tmp_path, 7)
    with pytest.raises(ParameterError, match=words):
        kizu.fit(tmp_path, **{**SMALL, **settings})


def test_a_bad_backbone_is_told_before_an_image_is_read(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="unknown backbone 'resnet'"):
        kizu.fit(tmp_path / "gone", backbone="resnet")


def test_the_order_files_were_made_in_does_not_matter(tmp_path: Path) -> None:
    tiles.good(tmp_path / "a" / "部品", 8)
    (tmp_path / "b" / "部品").mkdir(parents=True)
    for path in sorted((tmp_path / "a" / "部品").iterdir(), reverse=True):
        shutil.copy(path, tmp_path / "b" / "部品" / path.name)
    for name in "ab":
        kizu.fit(tmp_path / name / "部品", **SMALL).save(tmp_path / f"{name}.kizu")
    assert (tmp_path / "a.kizu").read_bytes() == (tmp_path / "b.kizu").read_bytes()


def test_what_was_fitted_on_leaves_a_fingerprint(tmp_path: Path) -> None:
    tiles.good(tmp_path, 8)
    before = data_of(kizu.fit(tmp_path, **SMALL))["fingerprint"]
    assert data_of(kizu.fit(tmp_path, **SMALL))["fingerprint"] == before
    tiles.write(tmp_path / "良品003.png", tile(99))
    assert data_of(kizu.fit(tmp_path, **SMALL))["fingerprint"] != before


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    folder = Path(f"{tmp_path}/\udcff\udc8f")
    try:
        tiles.good(folder, 6)
    except (OSError, UnicodeError):  # a file system that knows only Unicode has no such names
        folder = tmp_path / "部品"
        tiles.good(folder, 6)
    (folder / "良品000.png").rename(Path(f"{folder}/\udcfe.png"))
    kizu.fit(folder, **SMALL).save(tmp_path / "a.kizu")
    assert kizu.load(tmp_path / "a.kizu").provenance["data"]["product"] == folder.name
    assert kizu.load(tmp_path / "a.kizu").predict(Path(f"{folder}/\udcfe.png")).verdict in ("ok", "review", "ng")


def test_progress_tells_every_stage_to_its_end(parts: Path) -> None:
    stages: dict[str, list[int]] = {}

    class Notes:
        @contextmanager
        def stage(self, description: str, total: int) -> Any:
            stages[description] = [0, total]

            def advance(steps: int = 1, /) -> None:
                stages[description][0] += steps

            yield advance

    kizu.fit(parts, **SMALL, progress=Notes())
    left_out = ["Looking each image up", "Leaving each image out"]
    assert list(stages) == ["Reading images", "Selecting the coreset", *left_out]
    assert all(stages[name][1] == stages["Reading images"][1] for name in left_out)
    stages.clear()
    kizu.fit(parts, **SMALL, detector={"name": "padim", "reduced_dims": 4}, progress=Notes())
    assert list(stages) == ["Reading images", "Leaving each image out", "Factoring covariances"]
    stages.clear()
    kizu.fit(parts, **SMALL, calibration="k_fold", folds=2, progress=Notes())
    folds = [f"{what}, fold {number} of 2" for number in (1, 2) for what in ("Reading", "Scoring")]
    assert list(stages) == ["Reading images", "Selecting the coreset", *folds]
    stages.clear()
    kizu.fit(parts, **SMALL, calibration="hold_out", progress=Notes())
    assert list(stages) == ["Reading images", "Selecting the coreset", "Finding the threshold"]
    assert all(done == total > 0 for done, total in stages.values()), stages


def test_settings_of_a_file(tmp_path: Path) -> None:
    tiles.good(tmp_path / "data", 7)
    path = tmp_path / "設定.yaml"
    path.write_text("image_size: 96\nfalse_alarms: 0.2\nseed: 3\ndetector: {coreset_count: 5}\n", encoding="utf-8")
    for given in (path, str(path)):
        inspector = kizu.fit(tmp_path / "data", given, image_size=64)
        assert (inspector.config.image_size, inspector.config.seed) == (64, 3)
        assert inspector.detector.summary()["bank rows"] == 5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("無い.yaml", r"無い\.yaml: cannot read the configuration: "),
        ("wrong.yaml", r"wrong\.yaml: unknown setting 'image_sise'\. Did you mean 'image_size'"),
        (
            {"image_size": 64},
            r"`config` must be a kizu\.Config or the path of a YAML file; got \{'image_size': 64\}\. .*\*\*",
        ),
        (64, r"`config` must be a kizu\.Config or the path of a YAML file; got 64"),
    ],
)
def test_what_is_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Any, words: str) -> None:
    (tmp_path / "wrong.yaml").write_text("image_sise: 64\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match=words):
        kizu.fit(tmp_path, given)
