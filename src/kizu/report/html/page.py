"""A report as one HTML file that needs nothing else: no network, no other file.

What may run is named by its hash in the page's content security policy, and the same policy forbids every request:
text from file names, or from anywhere else, can neither run nor call home, even if it slipped through escaping.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from kizu.errors import MissingExtraError
from kizu.files import says_early
from kizu.report.html.advice import next_steps
from kizu.report.html.chart_style import FONTS, plotly_script
from kizu.report.html.charts import MOST_POINTS, charts, kind_name, score_bins
from kizu.report.html.content import ReportContent
from kizu.report.html.gallery import SCRIPT_WORDS, entries, picture_lines
from kizu.report.html.regions import coco_text
from kizu.report.html.summary import cards, headline
from kizu.report.html.tables import (
    check_rows,
    confusion_rows,
    decision_lines,
    facts,
    image_figures,
    pixel_figures,
    region_rows,
)
from kizu.report.html.words import Words, code_spans, legible

TEMPLATES = Path(__file__).with_name("templates")
PRINTED_IMAGES = 24
PRINTED_REGIONS = 20
MOST_COCO_BYTES = 6_000_000
"""A larger COCO document is in its own file alone."""


def render(content: ReportContent, language: str = "en", *, coco_name: str | None = None) -> str:
    """The page. ``coco_name``: the name of a COCO file that lies beside it.

    Raises:
        MissingExtraError: plotly or Jinja2 is not installed.
        ParameterError: there is no such language.
    """
    words = Words(language)
    scripts = [_asset("gallery.js"), plotly_script(), _asset("charts.js")]
    values = {
        "w": words,
        "content": content,
        "kind_name": lambda label, kind: kind_name(label, kind, words),
        "fonts": FONTS,
        "style": _asset("style.css"),
        "scripts": scripts,
        "policy": _policy(scripts),
        "coco_name": coco_name,
        "printed_images": PRINTED_IMAGES,
        "printed_regions": PRINTED_REGIONS,
        **_parts(content, words),
    }
    text: str = _environment().get_template("report.html.j2").render(values)
    return text


def _parts(content: ReportContent, words: Words) -> dict[str, Any]:
    """What the sections show."""
    lines = picture_lines(content)
    coco = inside_script(coco_text(content))
    data = {
        "language": words.language,
        "words": {key: words.text(key) for key in SCRIPT_WORDS},
        "images": entries(content, words),
        "charts": charts(content, words),
        "printed": PRINTED_IMAGES,
    }
    return {
        "headline": headline(content, words),
        "cards": cards(content, words),
        "steps": next_steps(content, words),
        "confusion": confusion_rows(content, words),
        "image_figures": image_figures(content, words),
        "pixel_figures": pixel_figures(content, words),
        "bins": score_bins(content),
        "sampled": len(content.images) > MOST_POINTS,
        "shown_points": len(content.ranked[:: 1 + (len(content.ranked) - 1) // MOST_POINTS]),
        "regions": region_rows(content),
        "region_count": sum(len(image.regions) for image in content.images),
        "findings": check_rows(content, words),
        "decision": decision_lines(content, words),
        "facts": facts(content, words),
        "data": script_json(data),
        "pictures": "\n".join(lines),
        "pictured": len(lines),
        "coco": coco if len(coco) <= MOST_COCO_BYTES else "",
    }


def is_page_of_kizu(path: Path) -> bool:
    """Whether a file begins as `render` writes pages; what cannot be read does not."""
    return says_early(path, b'<meta name="generator" content="kizu ')


def script_json(value: Any) -> str:
    """JSON that no HTML parser takes for anything else inside a script element.

    >>> script_json({"name": "</script>"})
    '{"name":"\\\\u003c/script>"}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return inside_script(_valid(text))


def inside_script(text: str) -> str:
    """JSON text with what would end a script element written as escapes, which mean the same in JSON."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _valid(text: str) -> str:
    """A text that can be encoded: a name a file system has need not be valid Unicode."""
    return text.encode(errors="backslashreplace").decode()


def _policy(scripts: list[str]) -> str:
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


@lru_cache(maxsize=4)
def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def import_jinja() -> Any:
    """Jinja2. Raises `MissingExtraError`."""
    try:
        import jinja2
    except ImportError:
        raise MissingExtraError('Jinja2 is not installed. Run: pip install "kizu[report]"') from None
    return jinja2


@lru_cache(maxsize=1)
def _environment() -> Any:
    """Jinja with everything escaped that is not marked as safe, and an error for a name that does not exist."""
    jinja2 = import_jinja()
    from markupsafe import Markup, escape

    def marked(text: str) -> Markup:
        pieces = (Markup("<code>{}</code>").format(p) if code else escape(p) for p, code in code_spans(text))
        return Markup("").join(pieces)

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["marked"] = marked
    environment.filters["valid"] = lambda text: _valid(legible(text))
    return environment
