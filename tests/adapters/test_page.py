"""docs/adapters.md: its code runs, and what it shows is what is played."""

import re

import pytest

from tests.playthroughs import written


def test_the_code_on_the_page_runs(root):
    pytest.importorskip("textarena", reason="needs the extra textarena")
    page = (root / "docs" / "adapters.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    for block in blocks:
        if "openenv" in block:  # needs a server: tests/adapters/test_openenv.py
            continue
        exec(compile(block, "docs/adapters.md", "exec"), {"__name__": "page"})


@pytest.mark.parametrize(
    ("name", "steps"), [("text-arena-v0-numbers", None), ("gem-v0-mines", 2), ("reasoning-gym-v0-right", None)]
)
def test_transcripts_on_the_page_are_golden_playthroughs(root, name, steps):
    page = (root / "docs" / "adapters.md").read_text(encoding="utf-8")
    assert f"```text\n{written(root, name, steps)}```\n" in page
