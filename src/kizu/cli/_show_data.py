"""What ``kizu data`` prints on stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kizu.cli._show import document, line, lines
from kizu.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kizu.datasets.public import DataCard
    from kizu.workflows import FetchedData, Synthesised


def cards(found: Sequence[DataCard], as_json: bool) -> None:
    """A line a data set."""
    if as_json:
        document({"data": [card.to_dict() for card in found]})
        return
    rows = [("data set", "comes", "size", "licence", "what it is"), *map(_row, found)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines("  ".join([*(f"{c:<{w}}" for c, w in zip(row, widths, strict=False)), row[4]]) for row in rows)
    print("\nNext: kizu data fetch NAME. What comes by hand has a page: kizu data list --json.")


def _row(card: DataCard) -> tuple[str, str, str, str, str]:
    return card.name, card.how, "-" if card.size is None else f"{card.size / 2**30:.1f} GiB", card.licence, card.title


def fetched(result: FetchedData, as_json: bool) -> None:
    """Where it is, under which licence, and what to do with it."""
    if as_json:
        document(result.to_dict())
        return
    card, first = result.card, result.products[0]
    names = ", ".join(path.name for path in result.products)
    many = f"{len(result.products)} products: {names}" if len(result.products) > 1 else "one product"
    line(f"{card.name} {'is' if result.fetched else 'was already'} in {result.out}: {many}.")
    print(f"Licence: {card.licence}{f' ({card.licence_url})' if card.licence_url else ''}. To cite: {card.citation}.")
    if result.sha256 and not card.sha256:
        print(f"SHA-256 of the archive, which nobody has published: {result.sha256}")
    line(f"Next: kizu fit {quoted(first)} -o {quoted(f'{first.absolute().name or card.name}.kizu')}")


def synthesised(result: Synthesised, as_json: bool) -> None:
    """What was drawn, and what to do with it."""
    if as_json:
        document(result.to_dict())
        return
    drawn = ", ".join(f"{count} {kind}" for kind, count in result.defects.items())
    line(f"Wrote {result.out}: {result.fit} good images to fit on, {result.good} held out, and defects: {drawn}.")
    folder = quoted(result.out)
    line(f"Next: kizu fit {folder} -o part.kizu, then kizu evaluate part.kizu {folder}")
