"""Fits within the memory they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kizu
from kizu.datasets import Sample
from kizu.detectors import _streaming, patchcore
from kizu.detectors.padim import PaDiM
from kizu.errors import KizuWarning, ParameterError
from kizu.images import Reading, read_image
from kizu.workflows import _budget
from kizu.workflows._reading import Reader
from workflows.tiles import write


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> str:
    """A limit that the images of the tests do not fit into, once nothing but them counts."""
    monkeypatch.setattr(_budget, "PROGRAM", 0)
    monkeypatch.setattr(_budget, "GRAPHS", 0)
    monkeypatch.setattr(_streaming, "FIXED", 0)
    monkeypatch.setattr(_streaming, "FEWEST_ROWS", 1)
    return "6MB"


def as_told(inspector: kizu.Inspector) -> dict[str, object]:
    assert inspector.calibration is not None
    return inspector.calibration.to_dict()


SETTINGS = {"image_size": 128, "detector": {"name": "patchcore", "coreset_count": 200}}


def test_images_are_held_out_where_they_cannot_be_left_out(parts: Path, little: str) -> None:
    with pytest.warns(KizuWarning) as said:
        inspector = kizu.fit(parts, memory=little, **SETTINGS)
    text = " ".join(str(warning.message) for warning in said)
    assert "6MB of memory do not hold" in text
    assert "the threshold is found on" in text
    assert inspector.config.calibration == "hold_out"
    assert inspector.calibration is not None
    assert inspector.calibration.method == "hold_out"
    assert inspector.detector.summary()["bank rows"] == 200


def test_an_ensemble_is_fitted_within_the_limit_too(parts: Path, little: str, tmp_path: Path) -> None:
    settings = {"image_size": 128, "detector": {"name": "ensemble", "coreset_ratio": 0.05}, "preset": "accurate"}
    with pytest.warns(KizuWarning) as said:
        inspector = kizu.fit(parts, memory=little, **settings)
    assert any("6MB of memory do not hold" in str(warning.message) for warning in said)
    assert inspector.config.calibration == "hold_out"
    assert inspector.detector.summary()["parts"] == 4
    inspector.save(tmp_path / "model.kizu")
    image = read_image(next(parts.rglob("*.png")))
    np.testing.assert_array_equal(
        kizu.load(tmp_path / "model.kizu").predict(image).score, inspector.predict(image).score
    )


def test_the_same_settings_give_the_same_model(parts: Path, little: str, tmp_path: Path) -> None:
    with pytest.warns(KizuWarning):
        first = kizu.fit(parts, memory=little, **SETTINGS)
    with pytest.warns(KizuWarning):
        second = kizu.fit(parts, first.config)
    np.testing.assert_array_equal(first.detector.bank_, second.detector.bank_)
    assert as_told(first) == as_told(second)


@pytest.mark.usefixtures("little")
@pytest.mark.filterwarnings("ignore::kizu.errors.KizuWarning")
def test_an_area_is_fitted_within_the_limit_too(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []
    streamed = patchcore.streamed
    monkeypatch.setattr(patchcore, "streamed", lambda *given: (fits.append(given), streamed(*given))[1])
    inspector = kizu.fit(parts, memory="4MB", roi="0,0 1,0 1,1 0.5,1", **SETTINGS)
    assert len(fits) == 1
    assert inspector.detector.summary()["bank rows"] == 200
    patches = inspector.embed(read_image(next(parts.rglob("*.png")))).shape[2]
    assert inspector.detector.patches_ % patches == 0  # type: ignore[attr-defined]
    assert 100 < patches < 256


def test_leaving_out_on_request_is_refused(parts: Path, little: str) -> None:
    with pytest.raises(ParameterError, match=r"`calibration` must be hold_out or k_fold; got 'leave_one_out'"):
        kizu.fit(parts, memory=little, calibration="leave_one_out", **SETTINGS)


@pytest.mark.filterwarnings("ignore::kizu.errors.KizuWarning")
def test_folds_are_fitted_within_the_limit_too(parts: Path, little: str) -> None:
    inspector = kizu.fit(parts, memory=little, calibration="k_fold", folds=2, **SETTINGS)
    assert inspector.calibration is not None
    assert inspector.calibration.method == "k_fold"


@pytest.mark.filterwarnings("ignore::kizu.errors.KizuWarning")
def test_enough_memory_changes_nothing(parts: Path) -> None:
    plain, limited = (kizu.fit(parts, memory=memory, **SETTINGS) for memory in (None, "4GB"))
    np.testing.assert_array_equal(plain.detector.bank_, limited.detector.bank_)
    assert as_told(plain) == as_told(limited)


@pytest.mark.parametrize("text", ["2", "GB", "-1GB", "2 G B", "two", "0MB", ""])
def test_sizes_that_are_none(parts: Path, text: str) -> None:
    with pytest.raises(ParameterError, match="memory"):
        kizu.fit(parts, memory=text)


def test_less_than_the_program_takes(parts: Path) -> None:
    with pytest.raises(
        ParameterError, match=r"`memory` must be more than the \d+MB that the program takes; got '50MB'"
    ):
        kizu.fit(parts, memory="50MB")


@pytest.mark.filterwarnings("ignore::kizu.errors.KizuWarning")
def test_larger_images_leave_less_for_the_detector(parts: Path) -> None:
    """768 pixels take about 300 MB more than 256."""
    with pytest.raises(ParameterError, match=r"`memory` must be more than the 7\d\dMB that the program takes"):
        kizu.fit(parts, memory="500MB", image_size=768, detector="padim")
    kizu.fit(parts, memory="600MB", image_size=256, detector={"name": "padim", "reduced_dims": 5})


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large") / "tiles"
    for number in range(8):
        image = np.random.default_rng(number).integers(0, 255, (30, 40, 3), np.uint8)
        write(folder / f"{number}.jpg", np.kron(image, np.ones((100, 100, 1), np.uint8)))
    return folder


PADIM = {"detector": {"name": "padim", "reduced_dims": 5}, "image_size": 64, "false_alarms": 0.2}


@pytest.mark.filterwarnings("ignore::kizu.errors.KizuWarning")
def test_large_files_leave_less_for_the_detector(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """36 MB each: with one ahead, two are held, and a third while it is decoded."""
    with pytest.raises(ParameterError, match=r"than the 4\d\dMB that .*; got '390MB'\. 99MB of it are for images as"):
        kizu.fit(large, memory="390MB", **PADIM)
    readers = []
    plain = Reader.__init__

    def watched(reader: Reader, *given: Any, **options: Any) -> None:
        plain(reader, *given, **options)
        readers.append(reader.ahead)

    monkeypatch.setattr(Reader, "__init__", watched)
    kizu.fit(large, memory="700MB", **PADIM)
    kizu.fit(large, memory="2GB", **PADIM)
    kizu.fit(large, **PADIM)
    assert sorted(set(readers)) == [1, 2, 8]


@pytest.mark.filterwarnings("ignore::kizu.errors.KizuWarning")
def test_large_jpeg_files_that_are_reduced_count_as_such(large: Path) -> None:
    kizu.fit(large, memory="530MB", reduced_jpeg=True, **PADIM)


def test_a_reader_is_only_so_far_ahead(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    plain = Reading.read
    monkeypatch.setattr(
        Reading, "read", lambda *given, **options: (begun.append(given[1]), plain(*given, **options))[1]
    )
    samples = [Sample(path, "train", "good", "good") for path in sorted(large.iterdir())]
    reader = Reader(Reading(), ahead=2)
    for read in (reader.images, lambda some: reader.again().worked(some, lambda *_: None)):
        begun.clear()
        for number, _ in enumerate(read(samples), 1):
            assert len(begun) <= number + 2


def test_detectors_from_outside_may_take_no_limit(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PaDiM, "takes_memory", False)
    with pytest.raises(ParameterError, match="padim takes no limit"):
        kizu.fit(parts, detector="padim", memory="4GB")
