"""Write the table of docs/metrics.md from `trainers.metric_meanings`.

    python -m tools.write_metrics_table

A test runs the same function and compares, so the page can't fall behind the code.
"""

from pathlib import Path

from trainers.metric_meanings import meanings_table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
BEGIN, END = "<!-- begin of the generated table of metrics -->", "<!-- end of the generated table of metrics -->"


def updated(page: str) -> str:
    """The page with the table between its two marks brought up to date."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{meanings_table()}\n\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
