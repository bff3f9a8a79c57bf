"""From a build's folder to its report."""

from pipelines.commit import put_text
from pipelines.report.figures import collect_figures
from pipelines.report.page import render_page
from tokens.manifest import join_url


def write_report(directory: str) -> str:
    """Write DIR/report.html and DIR/report.json; returns the URL of the page.

    The same files give the same report. What a build has not reached is shown as not built.

    Raises:
        FileNotFoundError: no stage has finished in the folder.
        ValueError: a manifest, record or tokenizer there cannot be read.
    """
    figures = collect_figures(directory)
    page = join_url(directory, "report.html")
    put_text(join_url(directory, "report.json"), figures.to_json())
    put_text(page, render_page(figures))
    return page
