"""The page on puzzles shows what is played: the beginnings of the golden playthroughs."""

import pytest

from tests.playthroughs import written


@pytest.mark.parametrize("name", ["sokoban-v0-text", "frozen-lake-v0-slippery", "game-2048-v0"])
def test_transcripts_on_the_page_are_those_of_the_golden_playthroughs(root, name):
    assert written(root, name, steps=1) in (root / "docs" / "puzzles.md").read_text(encoding="utf-8")
