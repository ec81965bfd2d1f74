"""The page on worlds of other packages shows what is played: golden playthroughs."""

import json

import pytest


@pytest.mark.parametrize("name", ["babyai-v0-go-to", "minihack-v0-key-room"])
def test_transcripts_on_the_page_are_golden_playthroughs(root, name):
    frames = json.loads((root / "tests" / "golden" / f"{name}.json").read_text(encoding="utf-8"))["frames"]
    steps = "".join(f"> {frame['command']}\n{frame['observation']}\n" for frame in frames[1:])
    shown = f"```text\n{frames[0]['observation']}\n{steps}```\n"
    assert shown in (root / "docs" / "worlds.md").read_text(encoding="utf-8")
