"""A corpus's report: one HTML file that shows where every row went, and the figures as JSON.

`stages` reads the manifests, `figures` draws the numbers and examples together as plain records,
`page` turns them into HTML. The page needs no network, no server and no script.
"""

from pipelines.report.write import write_report

__all__ = ["write_report"]
