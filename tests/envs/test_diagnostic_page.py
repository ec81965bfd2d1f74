"""The page on diagnostic environments shows what is played: the beginnings of golden playthroughs."""

import pytest

from tests.playthroughs import written

SHOWN = {
    "rooms-v0-row": None,
    "key-door-v0": 1,
    "busy-work-v0": None,
    "macro-copy-v0-symbols": 3,
    "dynamical-linear-bandit-v0": 3,
}
"""How many steps; None for all."""


@pytest.mark.parametrize(("name", "steps"), SHOWN.items())
def test_transcripts_on_the_page_are_golden_playthroughs(root, name, steps):
    page = (root / "docs" / "diagnostic-environments.md").read_text(encoding="utf-8")
    assert f"```text\n{written(root, name, steps)}```\n" in page
