"""Ways of fitting and scoring that take more than another bank: one function each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from _ablation_features import LAYERS, LITE2, PLAIN, Float32, Patches, View
from _ablation_lab import DEEP, MIDDLE, SHALLOW, Lab, Part
from _ablation_scores import (
    AROUND,
    Principal,
    Scored,
    by_density,
    coordinates,
    highest,
    joined,
    paper_weight,
    radii,
    scaled_layers,
    search,
    searched,
    timed,
    top_mean,
)
from kizu import detectors
from kizu.neighbors import ExactNeighbors

THREE = (SHALLOW, MIDDLE, DEEP)
MIRRORED = View(change="mirrored")
SUBSPACE = 0.95
"""Share of the variance of good patches that the subspace holds."""

CHANNELS = 100
"""Channels of PaDiM."""

HELD_OUT = 5
"""One in so many of the images learnt tells how far good patches are."""


def layers_scaled(lab: Lab) -> Scored:
    """Each layer divided by its spread."""
    patches = lab.store.get(PLAIN)
    learnt = patches.learnt(LAYERS)
    widths = [patches.channels[layer].stop - patches.channels[layer].start for layer in LAYERS]
    factors = scaled_layers(learnt, widths)
    tested = (image * factors for image in patches.tested(LAYERS))
    return lab.scored(search(learnt * factors, tested, lab.rows(), 0))


def scaled_by_held_out(lab: Lab, parts: Sequence[Part]) -> Scored:
    """Banks joined, each over the root mean square distance of good images that it has not learnt."""
    found = [replace(lab.find(part), spread=_held_out_level(lab, part)) for part in parts]
    return lab.of_several(found, lab.store.get(PLAIN).ms)


def _held_out_level(lab: Lab, part: Part) -> float:
    """Of a bank of four fifths of the images, what the others have."""
    patches = lab.store.get(part.view)
    known = patches.fit - patches.fit // HELD_OUT
    learnt = patches.learnt(part.layers)[: patches.starts[known]]
    unseen = (patches.of_image(number, part.layers) for number in range(known, patches.fit))
    found = search(learnt, unseen, round(part.ratio * len(learnt)), part.seed)
    return float(np.sqrt(np.mean(np.square(np.concatenate(found.distances)))))


def both_networks(lab: Lab) -> Scored:
    """The middle layers of both networks, one beside the other, in one bank."""
    one, other = (lab.store.get(view) for view in (PLAIN, View(LITE2)))

    def beside(first: Float32, second: Float32) -> Float32:
        return np.concatenate([first, second], axis=1)

    learnt = beside(one.learnt(MIDDLE), other.learnt(MIDDLE))
    tested = map(beside, one.tested(MIDDLE), other.tested(MIDDLE))
    found = lab.scored(search(learnt, tested, lab.rows(), 0))
    return replace(found, backbone_ms=one.ms + other.ms)


def weighted(lab: Lab) -> Scored:
    """The paper's weight on the highest patch."""
    found = lab.find()
    bank, plain = ExactNeighbors(found.bank), lab.bank()
    tested = lab.store.get(PLAIN).tested(LAYERS)

    def weight(image: tuple[Float32, int]) -> float:
        place = int(plain.patches[image[1]].argmax())
        return paper_weight(image[0][place], int(found.nearest[image[1]][place]), bank)

    factors, ms = timed(weight, ((queries, number) for number, queries in enumerate(tested)))
    return replace(plain, images=plain.images * np.array(factors, np.float32), ms=plain.ms + ms)


def topmost(lab: Lab, share: float) -> Scored:
    """An image scores the mean of its highest patches."""
    plain = lab.bank()
    means, ms = timed(lambda image: top_mean(image, share), plain.patches)
    return replace(plain, images=np.array(means, np.float32), ms=plain.ms + ms)


def density(lab: Lab, power: float) -> Scored:
    """Distances over how far apart the bank's rows lie there."""
    found = lab.find()
    around = radii(found.bank)
    pairs = zip(found.distances, found.nearest, strict=True)
    scores, ms = timed(lambda pair: by_density(pair[0][:, 0], pair[1], around, power), pairs)
    made = lab.scored(found, patches=scores)
    return replace(made, ms=made.ms + ms)


def mean_of(lab: Lab, count: int) -> Scored:
    """The mean distance to so many rows."""
    found = lab.find(Part(k=AROUND))
    return lab.scored(found, patches=[near[:, :count].mean(axis=1) for near in found.distances])


def more_learnt(lab: Lab) -> Scored:
    """Mirrored images learnt besides, in a bank twice as large."""
    plain, mirrored = (lab.store.get(view) for view in (View(), MIRRORED))
    learnt = np.concatenate([plain.learnt(LAYERS), mirrored.learnt(LAYERS)])
    return lab.scored(search(learnt, plain.tested(LAYERS), 2 * lab.rows(), 0))


def second_bank(lab: Lab) -> Scored:
    """A bank of images and one of mirrored images, both of which see the image as it is."""
    plain, mirrored = lab.find(), lab.find(Part(MIRRORED))
    tested = lab.store.get(PLAIN).tested(LAYERS)
    other = searched(mirrored.bank, mirrored.spread, tested, seconds=mirrored.seconds)
    return lab.of_several([plain, other], lab.store.get(PLAIN).ms)


def seen_twice(lab: Lab) -> Scored:
    """The second bank sees the image mirrored; its scores are turned back."""
    plain, mirrored = lab.find(), lab.find(Part(MIRRORED))
    patches = lab.store.get(MIRRORED)
    back = [
        np.ascontiguousarray(near.reshape(*grid, -1)[:, ::-1]).reshape(near.shape)
        for near, grid in zip(mirrored.distances, patches.tested_grids, strict=True)
    ]
    ms = lab.store.get(PLAIN).ms + patches.ms
    return lab.of_several([plain, replace(mirrored, distances=back)], ms)


def robust(lab: Lab) -> Scored:
    """kizu's PatchCore, which sets odd patches of good images aside."""
    parameters = {"coreset_count": lab.rows(), "search": "exact", "robust": True}
    return by_detector(lab, "patchcore", parameters, lab.rows())


def by_detector(lab: Lab, name: str, parameters: dict[str, object], bank_rows: int | None) -> Scored:
    """A detector of kizu's, on the four layers."""
    patches = lab.store.get(PLAIN)
    began = time.perf_counter()
    detector = detectors.build(name, parameters)
    detector.fit(in_grids(patches, learnt=True), images=patches.fit, rng=np.random.default_rng(0))
    seconds = time.perf_counter() - began
    found, ms = timed(detector.score, in_grids(patches, learnt=False))
    maps, scores = [of.patches.ravel() for of in found], np.concatenate([of.images for of in found])
    dims = int(detector.summary()["dimensions"])
    return Scored(maps, patches.tested_grids, scores, dims, bank_rows, seconds, ms, patches.ms)


def in_grids(patches: Patches, *, learnt: bool) -> Iterator[Float32]:
    """Images ``(1, h, w, D)`` as detectors take them."""
    rows = patches.fitted(LAYERS) if learnt else patches.tested(LAYERS)
    grids = patches.grids[: patches.fit] if learnt else patches.tested_grids
    return (image.reshape(1, *grid, -1) for image, grid in zip(rows, grids, strict=True))


def whitened(lab: Lab) -> Scored:
    """A bank of whitened patches."""
    patches = lab.store.get(PLAIN)
    learnt = patches.learnt(LAYERS)
    axes = Principal.of(learnt)
    tested = map(axes.whitened, patches.tested(LAYERS))
    return lab.scored(search(axes.whitened(learnt), tested, lab.rows(), 0))


def with_coordinates(lab: Lab) -> Scored:
    """Row and column appended to each patch; a whole image is as far as the spread."""
    patches = lab.store.get(PLAIN)
    found = lab.find()
    place = coordinates(patches.grids[0]) * np.float32(found.spread)
    learnt = np.concatenate([patches.learnt(LAYERS), np.tile(place, (patches.fit, 1))], axis=1)
    tested = (np.concatenate([image, place], axis=1) for image in patches.tested(LAYERS))
    return lab.scored(search(learnt, tested, lab.rows(), 0))


def over_position(lab: Lab) -> Scored:
    """Distances over what images learnt have, on average, at the same position."""
    found = lab.find()
    own = searched(found.bank, found.spread, lab.store.get(PLAIN).fitted(LAYERS))
    level = np.mean([near[:, 0] for near in own.distances], axis=0)
    level = np.maximum(level, 0.1 * level.mean())
    scores = [np.asarray(near[:, 0] * (level.mean() / level), np.float32) for near in found.distances]
    return lab.scored(found, patches=scores)


def principal(lab: Lab, *, subspace: bool) -> Scored:
    """Reconstruction error of principal components of all patches, or the distance to their Gaussian."""
    patches = lab.store.get(PLAIN)
    learnt = patches.learnt(LAYERS)
    began = time.perf_counter()
    axes = Principal.of(learnt)
    seconds = time.perf_counter() - began
    score = (lambda rows: axes.left_over(rows, SUBSPACE)) if subspace else axes.mahalanobis
    found, ms = timed(score, patches.tested(LAYERS))
    return Scored(found, patches.tested_grids, highest(found), learnt.shape[1], None, seconds, ms, patches.ms)


def padim(lab: Lab) -> Scored:
    """kizu's PaDiM."""
    return by_detector(lab, "padim", {"reduced_dims": CHANNELS}, None)


def with_padim(lab: Lab, weight: float) -> Scored:
    """Three banks and PaDiM, each over its level on good images; PaDiM's part times ``weight``."""
    three, other = lab.fused([Part(layers=names) for names in THREE]), padim(lab)
    level = _level(lab)
    pairs = zip(three.patches, other.patches, strict=True)
    patches = [joined([a, b], [level, CHANNELS**0.5 / weight]) for a, b in pairs]
    return replace(
        three,
        patches=patches,
        images=highest(patches),
        dims=three.dims + other.dims,
        seconds=three.seconds + other.seconds,
        ms=three.ms + other.ms,
    )


def _level(lab: Lab) -> float:
    """The root mean square of what images learnt score by three banks; of PaDiM it is √d, by its making."""
    patches = lab.store.get(PLAIN)
    numbers = range(0, patches.fit, HELD_OUT)
    parts = []
    for names in THREE:
        found = lab.find(Part(layers=names))
        own = searched(found.bank, found.spread, (patches.of_image(number, names) for number in numbers))
        parts.append(np.concatenate([near[:, 0] for near in own.distances]) / found.spread)
    return float(np.sqrt(np.mean(np.square(parts))))
