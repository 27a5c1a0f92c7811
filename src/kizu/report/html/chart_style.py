"""How every chart looks: colours, fonts, margins, lines at the thresholds."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from kizu.errors import MissingExtraError
from kizu.report.html.words import legible

GOOD, BAD, OTHER, NOW = "#0072b2", "#d55e00", "#5f6b76", "#1a1a1a"
"""Okabe and Ito's blue and vermilion, which all common kinds of colour blindness tell apart; greys."""

PAINT = {"good": GOOD, "bad": BAD, "": OTHER}
EDGE = {"good": 0.0, "bad": 1.2, "": 0.6}
"""Width of the line around bars, which tells them apart in greys too."""
SYMBOL = {"good": "circle", "bad": "diamond", "": "square"}

ZONES = {"ok": "rgba(0, 122, 61, 0.10)", "review": "rgba(255, 184, 0, 0.22)", "ng": "rgba(196, 0, 30, 0.10)"}

FONTS = (
    '"Segoe UI", "Helvetica Neue", Arial, "Hiragino Sans", "Hiragino Kaku Gothic ProN", "Yu Gothic UI", "Yu Gothic", '
    'Meiryo, "Noto Sans CJK JP", "Noto Sans JP", "IPAexGothic", sans-serif'
)

Figure = dict[str, Any]


def import_plotly() -> Any:
    """plotly's graph objects. Raises `MissingExtraError`."""
    try:
        import plotly.graph_objects
    except ImportError:
        raise MissingExtraError('plotly is not installed. Run: pip install "kizu[report]"') from None
    return plotly.graph_objects


def plotly_script() -> str:
    """plotly.js as the Python package brings it. Raises `MissingExtraError`."""
    import_plotly()
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def figure(traces: list[Mapping[str, Any]], layout: Mapping[str, Any], *, height: int = 360) -> Figure:
    """A chart as plotly.js takes it, checked by plotly's Python package; no texts but the caller's own."""
    base = {
        "template": None,
        "height": height,
        "margin": {"l": 60, "r": 18, "t": 44, "b": 52},
        "font": {"family": FONTS, "size": 13, "color": "#1a1a1a"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "#ffffff",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "hoverlabel": {"font": {"family": FONTS}},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#6b7680", "activecolor": "#1a1a1a"},
    }
    made: Figure = import_plotly().Figure(data=traces, layout={**base, **layout}).to_plotly_json()
    return {"data": made["data"], "layout": made["layout"]}


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with a light grid and a frame."""
    frame = {"gridcolor": "#e3e6e9", "linecolor": "#6b7680", "showline": True, "ticks": "outside", "zeroline": False}
    return {"title": {"text": title, "standoff": 8}, "automargin": True, **frame, **more}


def shares(title: str, **more: Any) -> dict[str, Any]:
    """An axis of shares from 0 to 1, in percent."""
    return axis(title, **{"range": [-0.02, 1.02], "tickformat": ".0%", **more})


def safe(text: str) -> str:
    """A text of other people's as a chart shows it to the letter: plotly takes some HTML for formatting."""
    return html.escape(legible(text), quote=False)


def zones(limits: Mapping[str, tuple[float, float]], titles: Mapping[str, str]) -> dict[str, Any]:
    """Coloured backgrounds from x to x for each verdict, and its name above."""
    shapes, notes = [], []
    for verdict, (low, high) in limits.items():
        shapes.append(
            {"type": "rect", "xref": "x", "yref": "paper", "x0": low, "x1": high, "y0": 0, "y1": 1}
            | {"fillcolor": ZONES[verdict], "line": {"width": 0}, "layer": "below"}
        )
        notes.append(
            {"xref": "x", "yref": "paper", "x": (low + high) / 2, "y": 0.99, "yanchor": "top", "showarrow": False}
            | {"text": f"<b>{titles[verdict]}</b>", "font": {"size": 12}, "bgcolor": "rgba(255,255,255,0.7)"}
        )
    for low, _ in list(limits.values())[1:]:
        shapes.append(
            {"type": "line", "xref": "x", "yref": "paper", "x0": low, "x1": low, "y0": 0, "y1": 1}
            | {"line": {"color": NOW, "width": 1.5, "dash": "dash"}}
        )
    return {"shapes": shapes, "annotations": notes}
