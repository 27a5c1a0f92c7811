"""``kizu compare``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kizu.cli import _options, _show
from kizu.memory import mebibytes
from kizu.wording import plural

if TYPE_CHECKING:
    from kizu.metrics import VerdictComparison
    from kizu.workflows import ComparedModel, Comparison, Pair

_LISTED = 10  # disputed images a pair that are printed; the table has all of them


def compare(
    models: Annotated[
        list[Path],
        typer.Argument(help="Two model files or more; each is compared with the first.", metavar="MODEL"),
    ],
    data: Annotated[Path, typer.Argument(help="Labelled images, as for `kizu evaluate`.", metavar="DATA")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for comparison.csv and pictures of what models dispute. [default: none]",
            metavar="DIR",
        ),
    ] = None,
    exact: _options.Exact = False,
    engine: _options.Engine = None,
    precision: _options.Precision = None,
    providers: _options.Providers = None,
    skip_unreadable: _options.SkipUnreadable = False,
    max_pixels: _options.MaxPixels = _options.DEFAULT_MAX_PIXELS,
    as_json: _options.Json = False,
) -> None:
    """Put models side by side on the same labelled images.

    Says by paired tests whether what seems a difference is one, and which images only one model gets right.
    """
    from kizu.cli._progress import Bars
    from kizu.workflows import compare as compare_models

    result = compare_models(
        models,
        data,
        out=out,
        exact=exact,
        engine=engine,
        precision=precision,
        providers=_options.names(providers),
        skip_unreadable=skip_unreadable,
        max_pixels=max_pixels,
        progress=Bars(),
    )
    if as_json:
        _show.document(result.to_dict())
        return
    _show.lines(_summary(result))
    _show.lines(_table(result))
    for pair in result.pairs:
        _show.lines(("", *_tested(pair)))
    if len(result.pairs) > 1:
        print(f"The p-values allow for the {len(result.pairs)} comparisons made (Holm).")
    _show.lines(_disputed(result))
    if out is not None:
        _show.line(f"Wrote {out / 'comparison.csv'} and {plural(len(result.disputed), 'picture')}.")


def _summary(result: Comparison) -> Iterator[str]:
    good = sum(image.label == "good" for image in result.images)
    bad = len(result.images) - good
    images = plural(len(result.images), "image")
    yield f"{images} in {result.seconds:.1f} s, each read once: {good} good, {bad} bad"
    if result.left_out:
        yield f"Left out {result.left_out}: some model may have been fitted on them (their seeds differ)."
    if result.skipped:
        yield f"Skipped {plural(result.skipped, 'unreadable file')}."


def _table(result: Comparison) -> Iterator[str]:
    """A column a model."""
    columns = [_column(model, result) for model in result.models]
    widths = [max(map(len, column.values())) for column in columns]
    for name in columns[0]:
        cells = (f"{column[name]:>{width}}" for column, width in zip(columns, widths, strict=True))
        yield f"{name:<22}{'  '.join(cells)}"


def _column(model: ComparedModel, result: Comparison) -> dict[str, str]:
    image, pixel, review = model.image, model.pixel, model.verdicts
    ranked = (
        {} if image.auroc is None else {"image AUROC": image.auroc, "image AP": image.ap, "best F1": image.f1_max}
    )
    marked = {} if pixel is None else {"pixel AUROC": pixel.auroc, "pixel PRO": pixel.aupro}
    return {
        "": model.name,
        "model": "-" if model.path is None else model.path.name,
        "detector": model.detector,
        "backbone": model.backbone,
        "image size": str(model.image_size),
        **{name: _show.figure(value) for name, value in ranked.items()},
        "good called NG": f"{image.fp} of {image.fp + image.tn}",
        "bad not called NG": f"{image.fn} of {image.fn + image.tp}",
        "of those for a person": f"{review['bad']['review']}",
        "good for a person": f"{review['good']['review']}",
        **{name: _show.figure(value) for name, value in marked.items()},
        "ms an image (median)": f"{model.milliseconds:.1f}",
        "size": "-" if model.size is None else mebibytes(model.size),
    }


def _tested(pair: Pair) -> Iterator[str]:
    """What the tests say, in plain words."""
    yield f"{pair.second} against {pair.first}"
    yield f"  AUROC: {_ranking(pair)}"
    yield f"  Verdicts: {_deciding(pair)}"
    for name, found in (("good images", pair.on_good), ("bad images", pair.on_bad)):
        if found is not None:
            yield f"    on {name}: {_alone(pair, found)}"


def _ranking(pair: Pair) -> str:
    found = pair.auroc
    if found is None:
        return "the images are all good or all bad, so there is nothing to rank."
    much = f"{pair.second} is {'higher' if found.difference > 0 else 'lower'} by {abs(found.difference):.4f}"
    how = much if found.difference else "no difference here"
    if found.p_value is None or pair.auroc_p_value is None or found.low is None or found.high is None:
        return f"{how}; these images are too few, or too clear, to test that. {_MORE}"
    if not found.difference:
        return "no difference."
    interval = f"{found.low:+.4f} to {found.high:+.4f} with 95 % confidence"
    return f"{how} ({interval}). {_meaning(pair.auroc_p_value)}"


_MORE = "Compare on more images."


def _deciding(pair: Pair) -> str:
    if not pair.verdicts.only_first + pair.verdicts.only_second:
        return "the two are right and wrong about the same images."
    return f"{_alone(pair, pair.verdicts)}. {_meaning(pair.verdicts_p_value)}"


def _alone(pair: Pair, found: VerdictComparison) -> str:
    return f"{pair.first} alone is right about {found.only_first}, {pair.second} alone about {found.only_second}"


def _meaning(p_value: float) -> str:
    from kizu.workflows import SURE

    p = "p < 0.0001" if p_value < 0.0001 else f"p = {p_value:.2g}"
    if p_value < SURE:
        return f"The difference is real as far as these images tell ({p})."
    return f"That may well be chance ({p}): no difference shown. {_MORE}"


def _disputed(result: Comparison) -> Iterator[str]:
    """The images that some models get right and some wrong, the worst of each kind."""
    for names in dict.fromkeys(map(result.names, result.disputed)):
        images = [image for image in result.disputed if result.names(image) == names]
        yield ""
        yield f"Only {' and '.join(names)} right ({len(images)}), worst first"
        for image in images[:_LISTED]:
            kind = f" ({image.defect_type})" if image.defect_type not in ("bad", "good") else ""
            yield f"  {image.mistake:<12} {image.path}{kind}"
        if len(images) > _LISTED:
            yield f"  and {len(images) - _LISTED} more; --out DIR writes all of them, with pictures"
