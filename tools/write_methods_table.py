"""Write the table of published methods in docs/methods.md from their files.

    python -m tools.write_methods_table

A test runs the same function and compares, so the page can't fall behind the files.
"""

from pathlib import Path

from trainers.methods import load_method, method_names

PAGE = Path(__file__).resolve().parents[1] / "docs" / "methods.md"
BEGIN, END = "<!-- begin of the generated table of methods -->", "<!-- end of the generated table of methods -->"


def methods_table() -> str:
    """Return a row per method: name, what it fills, whose it is, what it is for, when it fails, how it differs."""
    rows = ["| name | fills | for | fails where | differs from what was published |", "|---|---|---|---|---|"]
    for name in method_names():
        method = load_method(name)
        about = method.about
        words = " ".join(f"`{word}`" for word in method.slots.split())
        needs = f" Needs {about['needs']}" if "needs" in about else ""
        source = f"**`{name}`** {about['title']}: {about['source']}"
        cells = (source, words, about["helps"] + needs, about["fails"], about.get("differs", ""))
        rows.append("| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |")
    return "\n".join(rows)


def updated(page: str) -> str:
    """The page with the table between its two marks brought up to date."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{methods_table()}\n\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
