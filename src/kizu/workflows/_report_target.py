"""Where a report goes, and writing it there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

from kizu.files import check_writable, keep_others, write_together
from kizu.inspector import Inspector, identity
from kizu.progress import Progress
from kizu.report.coco import is_coco_of_kizu
from kizu.report.html import ReportContent, check_language, coco_text, render
from kizu.report.html.chart_style import import_plotly
from kizu.report.html.page import import_jinja, is_page_of_kizu
from kizu.report.pdf import is_pdf_of_kizu

PAGE = "report.html"
_SUFFIXES = (".html", ".htm")


@dataclass(frozen=True)
class ReportTarget:
    """Where a report goes, and in which language: ``path`` is an HTML file, or a folder that gets ``report.html``.

    ``model``: the file of the model, for its name and id; None where the model is in no file.
    """

    path: Path
    language: str = "en"
    model: Path | None = None

    @overload
    @classmethod
    def at(cls, where: str | Path | ReportTarget, model: str | Path | Inspector) -> ReportTarget: ...

    @overload
    @classmethod
    def at(cls, where: str | Path | ReportTarget | None, model: str | Path | Inspector) -> ReportTarget | None: ...

    @classmethod
    def at(cls, where: str | Path | ReportTarget | None, model: str | Path | Inspector) -> ReportTarget | None:
        """The target that a caller asks for, checked before long work; None where no report is asked for.

        Raises `ParameterError` for an unknown language, `MissingExtraError` without plotly or Jinja2, and
        `OutputError` where nothing can be written, or a file of others would be lost.
        """
        if where is None:
            return None
        target = where if isinstance(where, ReportTarget) else cls(Path(where))
        check_language(target.language)
        import_plotly()
        import_jinja()
        check_writable(target.page)
        check_writable(target.coco)
        keep_others(target.page, is_page_of_kizu, "report")
        keep_others(target.coco, is_coco_of_kizu, "report")
        known = target.model is not None or isinstance(model, Inspector)
        return target if known else replace(target, model=Path(str(model)))

    def check_pdf(self) -> None:
        """Make sure, before long work, that a PDF can be written, and over none of others. Raises `OutputError`."""
        check_writable(self.pdf)
        keep_others(self.pdf, is_pdf_of_kizu, "report")

    @property
    def identity(self) -> str | None:
        """The model's id, which `kizu info` and `kizu update` tell too. Raises `ModelFileError`."""
        return None if self.model is None else identity(self.model)

    @property
    def page(self) -> Path:
        """The HTML file."""
        return self.path if self.path.suffix.lower() in _SUFFIXES else self.path / PAGE

    @property
    def coco(self) -> Path:
        """The COCO file beside it."""
        return self.page.with_suffix(".coco.json")

    @property
    def pdf(self) -> Path:
        """The PDF beside it."""
        return self.page.with_suffix(".pdf")

    def write(self, content: ReportContent, progress: Progress) -> None:
        """Write the COCO file and the page, both of them or neither. Raises `OutputError`."""
        with progress.stage("Writing the report", 1) as advance:
            page = render(content, self.language, coco_name=self.coco.name).encode()
            write_together({self.coco: coco_text(content).encode(), self.page: page})
            advance(1)
