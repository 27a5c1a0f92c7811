from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kizu.errors import OutputError, ParameterError
from kizu.images import read_image
from kizu.report import SUFFIXES, write_image

RAMP = np.stack(np.broadcast_arrays(np.arange(64)[:, None] * 2, np.arange(48)[None] * 4, 60), axis=2).astype(np.uint8)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".PNG"])
@pytest.mark.parametrize("image", [RAMP, RAMP[..., 0]], ids=["colour", "grey"])
def test_every_format_reads_back(tmp_path: Path, suffix: str, image: np.ndarray) -> None:
    path = tmp_path / f"傷 1{suffix}"
    write_image(path, image)
    expected = image if image.ndim == 3 else np.stack([image] * 3, axis=2)
    lossy = suffix in (".jpg", ".jpeg", ".webp")
    assert np.abs(read_image(path).astype(int) - expected).max() <= (16 if lossy else 0)
    assert list(tmp_path.iterdir()) == [path]


def test_views_of_arrays_are_written_and_not_changed(tmp_path: Path) -> None:
    image = RAMP[::-1, ::2]
    before = image.copy()
    write_image(tmp_path / "a.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), before)
    np.testing.assert_array_equal(image, before)


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"unknown image suffix '.pgn'. Did you mean '.png'"):
        write_image(tmp_path / "a.pgn", RAMP)
    with pytest.raises(ParameterError, match=r"`image` must be \(H, W, 3\) or \(H, W\) uint8; got .* float64"):
        write_image(tmp_path / "a.png", RAMP / 255)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written: the folder is not there; check the name, or whether"):
        write_image(tmp_path / "stick" / "a.png", RAMP)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="a part of this path is a file, not a folder"):
        write_image(tmp_path / "file" / "a.png", RAMP)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


FULL = """
import resource, sys
import numpy as np
from kizu.errors import OutputError
from kizu.report import write_image

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_image(sys.argv[1], np.random.default_rng(0).integers(0, 256, (99, 99, 3)).astype(np.uint8))
except OutputError as error:
    print(error)
"""


def test_a_full_disk_is_one_line_and_leaves_no_half_picture(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    said = subprocess.run([sys.executable, "-c", FULL, str(target)], capture_output=True, text=True, check=True)
    assert said.stdout == f"{target}: cannot be written: no space left on the drive; free some and run again.\n"
    assert said.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_no_half_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_image(tmp_path / "a.png", RAMP)
    assert list(tmp_path.iterdir()) == []


def test_importing_the_package_does_not_load_opencv() -> None:
    code = "import sys, kizu.report; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
