"""What the commands print on stdout: text for people, or one JSON document."""

from __future__ import annotations

import codecs
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kizu.cli._printable import printable
from kizu.cli._streams import is_read
from kizu.errors import ParameterError
from kizu.memory import mebibytes
from kizu.wording import plural

if TYPE_CHECKING:
    from kizu.workflows import Evaluation, Export, Predictions


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        return round(time.perf_counter() - self._started, 3)


def line(text: str) -> None:
    """One line, whatever the names in it hold."""
    print(printable(text))


def lines(texts: Iterable[str]) -> None:
    """A line each."""
    for text in texts:
        line(text)


def document(content: Mapping[str, Any]) -> None:
    """The JSON document; what a console of another encoding cannot hold is escaped as JSON does it."""
    escaped = codecs.lookup(sys.stdout.encoding or "ascii").name != "utf-8"
    print(json.dumps(content, ensure_ascii=escaped, indent=2, allow_nan=False))


def parts(save: str, out: Path | None) -> tuple[str, ...]:
    """``--save`` as names. Raises `ParameterError` for an unknown one, or without ``--out``."""
    from kizu.report import PARTS, check_parts

    names = tuple(name.strip() for name in save.split(",") if name.strip())
    if names and out is None:
        raise ParameterError("--save needs a folder to save to; add --out DIR.")
    chosen = check_parts(name for name in names if name != "all")
    return PARTS if "all" in names else chosen


def predictions(results: Predictions, model: Path, out: Path | None, as_json: bool) -> None:
    """A line an image as it comes; or all in one document at the end."""
    clock, kept, verdicts = Clock(), [], Counter[str]()
    for prediction in results:
        verdicts[prediction.verdict] += 1
        scaled = results.scaled(prediction)
        name = results.scaled.name
        if as_json:
            kept.append(prediction.to_dict() | ({} if scaled is None else {name: scaled}))
            continue
        cells = [f"{prediction.score:.4f}", f"{prediction.threshold:.4f}", prediction.verdict.upper()]
        cells += [f"p={prediction.p_value:.4f}", *([] if scaled is None else [f"{name}={scaled:.4f}"])]
        print(printable(prediction.path), *cells, f"{prediction.milliseconds:.1f} ms", sep="\t", flush=True)
        if out is None and not is_read():  # as with `kizu predict … | head`
            results.close()
            return
    if as_json:
        counts = dict(sorted(verdicts.items()))
        found = {"predictions": kept, "counts": counts, "skipped": results.skipped}
        document({"model": str(model), **found, "seconds": clock.seconds})
        return
    skipped(results.skipped)
    if out is not None:
        _wrote(out, sum(verdicts.values()))


def _wrote(out: Path, pictures: int) -> None:
    line(f"Wrote {out / 'predictions.csv'} and {plural(pictures, 'picture')}.")


def skipped(count: int) -> None:
    """How many files could not be read, on stderr; nothing where all could."""
    if count:
        print(f"Skipped {count} unreadable file{'s' if count > 1 else ''}.", file=sys.stderr)


def not_judged(count: int) -> None:
    """How many good images are for fitting alone; nothing where there are none."""
    if count:
        images = "1 more good image is" if count == 1 else f"{count} more good images are"
        print(f"{images} kept for fitting and not judged (good ones are divided 8:2); in test/good all are judged.")


def evaluation(result: Evaluation, out: Path | None, as_json: bool) -> None:
    """The metrics, in a few lines."""
    if as_json:
        document(result.to_dict())
        return
    image, pixel = result.image, result.pixel
    counts = ", ".join(f"{name} {count}" for name, count in result.counts.items())
    skipped(result.skipped)
    print(f"{plural(len(result.results), 'image')} in {result.seconds:.1f} s: {counts}")
    not_judged(result.kept_for_fitting)
    print(f"Image  AUROC {figure(image.auroc)}  AP {figure(image.ap)}  best F1 {figure(image.f1_max)}")
    print(
        f"At the threshold {image.threshold:.4g}: accuracy {figure(image.accuracy)}, "
        f"precision {figure(image.precision)}, recall {figure(image.recall)}"
    )
    print(f"  good parts called NG: {image.fp} of {image.fp + image.tn}")
    print(f"  defects called OK:    {image.fn - result.verdicts['bad']['review']} of {image.fn + image.tp}")
    reviews = [f"{result.verdicts[label]['review']} {label}" for label in ("good", "bad")]
    print(f"  for a person:         {' and '.join(reviews)}")
    if pixel is None:
        print("Pixel  no masks, so no pixel metrics")
    else:
        ranking = f"AUROC {figure(pixel.auroc)}  AP {figure(pixel.ap)}  best F1 {figure(pixel.f1_max)}"
        print(f"Pixel  {ranking}  PRO {figure(pixel.aupro)}")
    if out is not None:
        _wrote(out, len(result.results))


def exported(result: Export, model: Path, as_json: bool) -> None:
    """What was written, and how far it is from the model."""
    if as_json:
        document({"model": str(model), **result.to_dict()})
        return
    agreement = result.agreement
    names = " and ".join(map(str, result.files))
    size = "any size" if result.image_size == "any" else f"{result.image_size} pixels"
    samples = "" if result.dtype == "uint8" else f", the camera's samples as {result.dtype}"
    line(f"Wrote {names} ({mebibytes(result.size)}), for {result.colour.upper()} images of {size}{samples}.")
    score, map_ = f"{agreement.score:.1g} of their value", f"{agreement.map:.1g} of their range"
    checked = plural(agreement.images, "image")
    print(f"Checked on {checked}: scores differ from the model's by {score} at most, maps by {map_}.")
    if result.search != "exact":
        print(
            "The model searches its memory bank approximately, the export exactly; it was compared with exact search."
        )
    print(f"An image takes {agreement.milliseconds:.1f} ms, in kizu {agreement.inspector_milliseconds:.1f} ms.")


def figure(value: float | None) -> str:
    """A metric; - where there is none."""
    return "-" if value is None else f"{value:.4f}"
