"""The picture of synthetic defects in the documents: every kind on a mono- and a polycrystalline cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from kizu import images, synthetic
from kizu.datasets.solar_cells import solar_cells
from kizu.report import write_image

SIDE = 180
GAP = 2
LINE = (230, 60, 40)
CELLS = (("mono", 3), ("poly", 2))  # kind, and which of the good cells
STRENGTH, SIZE = 1.2, 1.3

Picture = npt.NDArray[np.uint8]


def draw(path: Path) -> None:
    """Write it: a row of defects, and the same outlined, for each of the cells."""
    rows = [_titles()]
    for place, (kind, chosen) in enumerate(CELLS):
        samples = solar_cells(kind).train_good()  # type: ignore[arg-type]
        donor, cell = (images.read_image(samples[number].path) for number in (0, chosen))
        pairs = [_pair(cell, donor, name, [3 + 2 * place, n]) for n, name in enumerate(synthetic.KINDS)]
        rows += [np.hstack([pair[row] for pair in pairs]) for row in range(2)]
    write_image(path, np.vstack(rows))


def _pair(cell: Picture, donor: Picture, kind: str, seed: list[int]) -> tuple[Picture, Picture]:
    import cv2

    rng = np.random.default_rng(seed)
    defect = synthetic.draw_defect(cell, rng, kind=kind, strength=STRENGTH, size=SIZE, donor=donor)
    image = images.resize(defect.image, (SIDE, SIDE))
    mask = cv2.dilate(images.resize_mask(defect.mask, (SIDE, SIDE)).astype(np.uint8), np.ones((3, 3), np.uint8))
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outlined = image.copy()
    cv2.drawContours(outlined, outlines, -1, LINE, 1)
    return _framed(image), _framed(outlined)


def _framed(image: Picture) -> Picture:
    return np.pad(image, ((GAP, GAP), (GAP, GAP), (0, 0)), constant_values=255)


def _titles() -> Picture:
    import cv2

    across = SIDE + 2 * GAP
    canvas = np.full((22, across * len(synthetic.KINDS), 3), 255, np.uint8)
    for place, name in enumerate(synthetic.KINDS):
        cv2.putText(
            canvas, name, (place * across + 6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA
        )
    return canvas
