"""How a row of the ablations is written in their table."""

from __future__ import annotations

from _table_forms import Cells, Maker, fixed, whole

AUROC, AUPRO = "auroc, ", "aupro, "


def ablation(row: Cells) -> dict[str, str]:
    """A setting: figures of each data set, bold where the images cannot explain the difference."""
    cells = {"lead": row["lead"], "setting": row["setting"], "start": row["seed"]}
    for name, figure in row.items():
        if name.startswith(AUROC):
            cells[name.removeprefix(AUROC)] = _told(figure, row, name.removeprefix(AUROC))
        elif name.startswith(AUPRO):
            cells[f"PRO, {name.removeprefix(AUPRO)}"] = fixed(figure, 3)
    return {
        **cells,
        "numbers a patch": whole(row["dimensions"]),
        "scoring an image": f"{fixed(row['ms'], 1)} ms",
        "backbone": f"{fixed(row['backbone_ms'], 1)} ms",
    }


def _told(auroc: str, row: Cells, data: str) -> str:
    """``0.957 (+0.002)``; a dash where the setting means nothing to the data."""
    if not auroc:
        return "–"
    difference = f"{float(row[f'difference, {data}']):+.3f}"
    low, high = row[f"low, {data}"], row[f"high, {data}"]
    beyond = bool(low) and (float(low) > 0 or float(high) < 0)
    return f"{fixed(auroc, 3)} ({f'**{difference}**' if beyond else difference})"


TABLES: dict[str, Maker] = {"ablation": ablation}
SOURCES = {"ablation": "ablation_summary"}
