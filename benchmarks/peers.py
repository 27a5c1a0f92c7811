"""kizu against its peers: the same images, one run, each in a process of its own, so that peak memory is its own.

Peers: anomalib 2.x in an environment of its own (--anomalib makes it, --anomalib-python names one), once with kizu's
default backbone, layers and ratio and once as it comes; the procedures of patchcore-inspection and of k-washi's
walk-through, re-done from their published constants on kizu's features; and plain scikit-learn. kizu with the same
layers and ratio runs first and last; ratios are against the mean of the two.

A fit is timed from files to a model that scores; an image from the decoded array at its own size to score and map.
Peers that look at every patch for every pick make --picks of them at most; what all would take is *extrapolated* in
columns of that name, and an image is then timed with a bank filled up to the full size as well. The pace of the first
half of the picks stands beside that of all, to show that it is constant.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import _data
import _peers
import _results
from _peer import FEWEST_PICKS, Job
from _peers import ENTRIES, Entry, PeerError
from kizu.datasets import Dataset, Sample

KEY = ("data", "peer", "fit_images", "ratio")


def chosen(options: argparse.Namespace) -> list[Entry]:
    """The peers asked for; anomalib's only where there is an environment for it, or one may be made."""
    found = [entry for name in options.peers for entry in named(name)] if options.peers else list(ENTRIES)
    if not (options.anomalib or options.anomalib_python):
        left_out = [entry.name for entry in found if entry.anomalib]
        if left_out:
            _results.note(f"without --anomalib these are left out: {', '.join(left_out)}")
        found = [entry for entry in found if not entry.anomalib]
    reference = ENTRIES[0]
    return [reference, *(entry for entry in found if entry is not reference), reference]


def named(name: str) -> list[Entry]:
    """The peer of that name, or all whose names begin so."""
    exact = [entry for entry in ENTRIES if entry.name == name]
    found = exact or [entry for entry in ENTRIES if entry.name.startswith(name)]
    if not found:
        raise SystemExit(f"there is no peer {name!r}; there are: {', '.join(entry.name for entry in ENTRIES)}")
    return found


def jobs(
    entries: Sequence[Entry], job: Job, options: argparse.Namespace, shared: Path
) -> Iterator[tuple[Entry, Job]]:
    """What each peer is to do, in its own folder."""
    import _anomalib

    handed = _anomalib.hand_over(shared, job.layers) if any(entry.anomalib for entry in entries) else {}
    for number, one in enumerate(entries):
        own = "its own" if options.download else "random"
        entry = one if one.weights == "same" else replace(one, weights=own)
        folder = shared / str(number)
        folder.mkdir()
        given = dict(entry.options)
        if entry.anomalib:
            given |= handed if entry.weights == "same" else {"download": options.download}
        yield entry, replace(job, folder=str(folder), options=given, test=job.test[: entry.most])


def compare(
    name: str, data: Dataset, options: argparse.Namespace, python: str, failed: list[str]
) -> list[_results.Row]:
    """All peers on one data set; what went wrong with one is added to ``failed``, and the others go on."""
    train, test = _peers.divided(data, options.images, options.test)
    files, judged = ([str(sample.path.resolve()) for sample in part] for part in (train, test))
    place = {"data": name, "fit_images": len(train), "ratio": options.ratio, "picks_limit": options.picks}
    found = []
    with tempfile.TemporaryDirectory() as folder:
        job = Job(files, judged, folder, layers=options.layers, ratio=options.ratio, picks=options.picks)
        for entry, made in jobs(chosen(options), job, options, Path(folder)):
            _results.note(f"{name}: {entry.name}")
            try:
                row = measured(entry, made, test[: len(made.test)], python)
            except PeerError as problem:
                failed.append(str(problem))
                _results.note(failed[-1])
                continue
            found.append({**place, "test_images": len(made.test), **row})
    if [row["peer"] for row in (*found[:1], *found[-1:])] != [ENTRIES[0].name] * 2:
        raise SystemExit(f"{name}: without kizu's own figures there are no ratios: {'; '.join(failed)}")
    return _peers.with_ratios(found)


def measured(entry: Entry, job: Job, samples: Sequence[Sample], python: str) -> dict[str, _results.Value]:
    """The figures of one peer, told as they come."""
    figures = _peers.run(entry, job, python if entry.anomalib else sys.executable)
    _results.note(f"fit {figures['fit']:.1f} s, an image {figures['ms']:.1f} ms")
    return _peers.row(entry, figures, _peers.judged(job, samples))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _options()
    options = parser.parse_args(arguments)
    if not options.data and not options.solar:
        parser.error("name data sets, or give --solar mono")
    python = ""
    if options.anomalib or options.anomalib_python:
        import _anomalib

        python = str(_anomalib.python(options.anomalib_python))
    failed: list[str] = []
    for name, data in _data.named(options.data, options.solar or ()):
        rows = compare(name, data, options, python, failed)
        for table, part in _peers.tables(rows).items():
            _results.save(table, part, key=KEY, folder=options.results)
    if failed:
        raise SystemExit(f"without figures: {'; '.join(failed)}")


def _picks(text: str) -> int:
    if int(text) < FEWEST_PICKS:
        raise argparse.ArgumentTypeError(f"the pace of fewer than {FEWEST_PICKS} picks says nothing")
    return int(text)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    names = _results.listed(str)
    parser.add_argument("data", nargs="*", type=Path, metavar="DATA", help="folders or lists of images")
    parser.add_argument("--solar", type=names, help="solar cells too: mono, poly")
    parser.add_argument("--images", type=int, default=320, help="images to fit on (320)")
    parser.add_argument("--test", type=int, help="test images, good ones and defects in turn (all)")
    parser.add_argument("--layers", type=names, default=["blocks.2", "blocks.4"], help="(blocks.2,blocks.4)")
    parser.add_argument("--ratio", type=float, default=0.1, help="share of the patches to keep (0.1)")
    parser.add_argument("--picks", type=_picks, help="most picks of a peer that makes one a pass (all)")
    parser.add_argument("--peers", type=names, help="only these, or those that begin so: kizu,anomalib P")
    parser.add_argument(
        "--anomalib", action="store_true", help="make an environment for anomalib, or use the one made"
    )
    parser.add_argument(
        "--anomalib-python", type=Path, metavar="PATH", help="the python of an environment that has it"
    )
    parser.add_argument(
        "--download", action="store_true", help="let anomalib fetch its own weights (else random ones)"
    )
    return parser


if __name__ == "__main__":
    _results.run(main)
