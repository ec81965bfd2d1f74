"""docs/adapters.md: its code runs."""

import re

import pytest


def test_the_code_on_the_page_runs(root):
    pytest.importorskip("textarena", reason="needs the extra textarena")
    page = (root / "docs" / "adapters.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    for block in blocks:
        if "openenv" in block:  # needs a server: tests/adapters/test_openenv.py
            continue
        exec(compile(block, "docs/adapters.md", "exec"), {"__name__": "page"})
