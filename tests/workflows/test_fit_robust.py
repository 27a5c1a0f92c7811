"""A robust fit as a whole: what it says it set aside, and what that means for updates and thresholds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kizu as library
from kizu.workflows import update
from workflows import tiles

SETTINGS = {"image_size": 64, "false_alarms": 0.05}
SCRATCHED = ["傷100.png", "傷101.png", "傷102.png"]

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*cannot promise:kizu.KizuWarning", "ignore:PaDiM fits:kizu.KizuWarning"
)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 60 good tiles and three scratched ones that nobody noticed."""
    root = tmp_path_factory.mktemp("robust") / "部品"
    tiles.good(root, 60)
    tiles.bad(root, 3)
    return root


def fitted(data: Path, **settings: object) -> library.Inspector:
    return library.fit(data, **(SETTINGS | settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_scratches_among_good_tiles_are_named_and_found_again(mixed: Path, name: str) -> None:
    plain, robust = fitted(mixed, detector=name), fitted(mixed, detector={"name": name, "robust": True})
    assert sorted(robust.provenance["data"]["set_aside"]) == SCRATCHED
    assert "set_aside" not in plain.provenance["data"]
    assert robust.calibration is not None
    assert len(robust.calibration.scores) == 60
    scratched = [mixed / scratch for scratch in SCRATCHED]
    assert [p.verdict for p in robust.predict(scratched)] == ["ng"] * 3
    assert [p.verdict for p in plain.predict(scratched)] != ["ng"] * 3


def test_names_are_those_of_the_files_read(mixed: Path, tmp_path: Path) -> None:
    """A file that cannot be read shifts the numbers of those behind it."""
    for path in mixed.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.warns(library.KizuWarning, match="skipped"):
        found = fitted(tmp_path, detector={"name": "patchcore", "robust": True}, skip_unreadable=True)
    assert sorted(found.provenance["data"]["set_aside"]) == SCRATCHED


@pytest.mark.filterwarnings("ignore:.*far above every good image:kizu.KizuWarning")
def test_what_was_set_aside_can_be_learnt_after_all(mixed: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.kizu"
    fitted(mixed, detector={"name": "patchcore", "robust": True}).save(model)
    done = update(model, [mixed / SCRATCHED[0], mixed / "良品000.png"], selected=True)
    assert [path.name for path in done.added] == SCRATCHED[:1]
    assert [path.name for path in done.repeated] == ["良品000.png"]


@pytest.mark.parametrize("calibration", ["hold_out", "k_fold"])
def test_held_out_defects_do_not_make_the_threshold(mixed: Path, calibration: str) -> None:
    settings = {"calibration": calibration, "hold_out": 0.5, "seed": 1}
    plain = fitted(mixed, **settings).calibration
    robust = fitted(mixed, detector={"name": "patchcore", "robust": True}, **settings).calibration
    assert plain is not None
    assert robust is not None
    gone = len(plain.scores) - len(robust.scores)
    assert 1 <= gone <= 3
    assert robust.scores.max() < np.sort(plain.scores)[-gone]
    assert robust.scores.shape == robust.peaks.shape


def test_a_data_sets_own_calibration_images_are_trusted(tmp_path: Path) -> None:
    tiles.good(tmp_path / "train" / "good", 30)
    tiles.good(tmp_path / "calibration" / "good", 30, first=50)
    tiles.bad(tmp_path / "calibration" / "good", 2)
    found = fitted(tmp_path, detector={"name": "patchcore", "robust": True}).calibration
    assert found is not None
    assert len(found.scores) == 32
