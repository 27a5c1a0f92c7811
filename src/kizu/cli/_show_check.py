"""What ``kizu check`` prints on stdout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kizu.cli._show import document, line, lines
from kizu.errors import some
from kizu.wording import plural

if TYPE_CHECKING:
    from kizu.checks import Finding
    from kizu.workflows import DataCheck

_SHOWN = 3  # kinds of advice, findings of one, files of a finding
_SUSPECTS_SHOWN = 5


def data_check(result: DataCheck, out: Path | None, as_json: bool) -> None:
    """All of it as JSON; or a few lines a kind of finding, worst first."""
    if as_json:
        document(result.to_dict())
        return
    lines(_head(result))
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in result.findings:
        groups.setdefault((finding.severity, finding.kind), []).append(finding)
    for (severity, kind), findings in groups.items():
        print(f"\n{severity.upper()} {kind.replace('_', ' ')}")
        lines(f"  {text}" for text in _of_a_kind(findings, result.root, out))
    lines(_suspects(result))
    if out is not None:
        line("")
        line(f"Wrote {out / 'findings.csv'}{' and the suspects beside it' if result.suspects else ''}.")


def _head(result: DataCheck) -> Iterator[str]:
    kinds = ", ".join(f"{plural(result.number(severity), severity)}" for severity in ("problem", "warning", "note"))
    yield f"{result.product}: {plural(result.images, 'image')} ({result.layout}) in {result.seconds:.1f} s: {kinds}"
    for split, counts in result.counts.items():
        yield f"  {split}: {', '.join(f'{count} {kind}' for kind, count in counts.items())}"


def _of_a_kind(findings: Sequence[Finding], root: Path, out: Path | None) -> Iterator[str]:
    """Some of them, those of one advice together, each lot with its advice."""
    where = "see findings.csv" if out is not None else "all of them with --out DIR or --json"
    lots: dict[str, list[Finding]] = {}
    for finding in findings:
        lots.setdefault(finding.advice, []).append(finding)
    for advice, lot in list(lots.items())[:_SHOWN]:
        yield from (_about(finding, root) for finding in lot[:_SHOWN])
        if len(lot) > _SHOWN:
            yield f"... and {len(lot) - _SHOWN:,} more, {where}"
        yield f"-> {advice}"
    others = sum(map(len, list(lots.values())[_SHOWN:]))
    if others:
        yield f"... and {others:,} more with other advice, {where}"


def _about(finding: Finding, root: Path) -> str:
    """What was found, after the names of some of its files."""
    files = some([_name(path, root) for path in finding.paths], _SHOWN)
    return f"{files}: {finding.message}" if files else finding.message


def _suspects(result: DataCheck) -> Iterator[str]:
    yield ""
    if result.not_scored:
        yield f"Defects among the good images: not looked for ({result.not_scored})."
        return
    yield f"The least ordinary of {plural(result.scored, 'good image')} for training, scored as if not fitted on:"
    for suspect in result.suspects[:_SUSPECTS_SHOWN]:
        mark = "  <- stands out" if suspect.beyond else ""
        name = _name(suspect.path, result.root)
        yield f"  {suspect.rank:>2}. {name}  score {suspect.score:.4g}, {suspect.times:.2f} times the median{mark}"


def _name(path: Path, root: Path) -> str:
    """The file as seen from the data set, or from the folder its list is in."""
    folder = root.parent if root.is_file() else root
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
