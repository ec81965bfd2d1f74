"""docs/adapters.md: its code runs."""

import re

import pytest


def test_the_code_on_the_page_runs(root):
    pytest.importorskip("textarena", reason="needs the extra textarena")
    page = (root / "docs" / "adapters.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        exec(compile(block, "docs/adapters.md", "exec"), {"__name__": "page"})
