"""The page on worlds of other packages shows what is played: golden playthroughs."""

import pytest

from tests.playthroughs import written


@pytest.mark.parametrize("name", ["babyai-v0-go-to", "minihack-v0-key-room"])
def test_transcripts_on_the_page_are_golden_playthroughs(root, name):
    page = (root / "docs" / "worlds.md").read_text(encoding="utf-8")
    assert f"```text\n{written(root, name)}```\n" in page
