"""Data sets of textured tiles, some of them scratched, in every layout kizu knows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 96

SMALL = {"image_size": 64, "false_alarms": 0.2}
"""Settings for fits that take no time, and that 5 held-out images are enough for."""


def tile(seed: int, scratched: bool = False) -> np.ndarray:
    """``(96, 96, 3)`` uint8: the same weave on every part, seeded noise, and a scratch if asked for."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    weave = 120 + 40 * np.sin(rows / 3.0) * np.cos(columns / 5.0)
    noise = np.random.default_rng(seed).normal(0, 6, (SIDE, SIDE, 3))
    image = weave[..., None] + noise
    if scratched:
        image[scratch(seed)] = 250
    return image.clip(0, 255).astype(np.uint8)


def scratch(seed: int) -> np.ndarray:
    """Where the scratch of that tile is: ``(96, 96)`` bool."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    start = 20 + 7 * (seed % 6)
    return (np.abs(rows - columns // 2 - start) <= 3) & (columns > 20) & (columns < 76)


def write(path: Path, image: np.ndarray) -> Path:
    """One image file, its folder made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def good(folder: Path, count: int, first: int = 0) -> list[Path]:
    """``count`` sound tiles in ``folder``."""
    return [write(folder / f"良品{number:03}.png", tile(number)) for number in range(first, first + count)]


def bad(folder: Path, count: int, masks: Path | None = None, suffix: str = "") -> list[Path]:
    """``count`` scratched tiles in ``folder``, and their masks."""
    paths = []
    for number in range(100, 100 + count):
        paths.append(write(folder / f"傷{number}.png", tile(number, scratched=True)))
        if masks is not None:
            write(masks / f"傷{number}{suffix}.png", scratch(number).astype(np.uint8) * 255)
    return paths


def good_bad(root: Path, *, sound: int = 30, scratched: int = 6, masks: bool = True) -> Path:
    """``good/ bad/ mask/``."""
    good(root / "good", sound)
    bad(root / "bad", scratched, root / "mask" if masks else None)
    return root


def mvtec(root: Path) -> Path:
    """The layout of MVTec AD."""
    good(root / "train" / "good", 12)
    good(root / "test" / "good", 4, first=50)
    bad(root / "test" / "引っかき傷", 4, root / "ground_truth" / "引っかき傷", "_mask")
    return root


def spoilt(root: Path) -> Path:
    """The layout of MVTec AD with one of everything wrong."""
    mvtec(root)
    train, test = root / "train" / "good", root / "test" / "good"
    good(train, 24, first=200)
    write(train / "隠れた傷.png", tile(300, scratched=True))
    write(train / "暗い.png", (tile(301) * 0.3).astype(np.uint8))
    write(train / "大きい.png", np.asarray(Image.fromarray(tile(302)).resize((200, 150))))
    write(train / "写し.bmp", tile(0))
    write(test / "漏れ.png", tile(1))
    Image.fromarray(tile(2)).save(test / "漏れ.jpg", quality=92)
    (test / "壊れた.png").write_bytes((test / "良品050.png").read_bytes()[:2000])
    masks = root / "ground_truth" / "引っかき傷"
    write(masks / "傷100_mask.png", np.zeros((96, 96), np.uint8))
    write(masks / "傷101_mask.png", np.zeros((50, 96), np.uint8))
    (masks / "傷102_mask.png").unlink()
    write(masks / "誰のもの.png", np.zeros((96, 96), np.uint8))
    (root / "test" / "覚え書き.png").write_bytes(b"loose")
    return root


def plain(root: Path) -> Path:
    """A folder of good images."""
    good(root, 12)
    return root


def listed(root: Path, suffix: str) -> Path:
    """A CSV or JSONL list beside its images, with a calibration split of its own."""
    rows = [{"path": path.name, "split": "train", "label": "good"} for path in good(root, 8)]
    rows += [{"path": path.name, "split": "calibration", "label": "good"} for path in good(root, 6, first=20)]
    rows += [{"path": path.name, "split": "test", "label": "ok"} for path in good(root, 3, first=40)]
    rows += [{"path": path.name, "split": "test", "label": "ng"} for path in bad(root, 3)]
    path = root / f"一覧{suffix}"
    if suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    else:
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
