"""The page on searching shows what is played, and its example runs."""

import json
import re

import pytest


@pytest.mark.parametrize("name", ["search-qa-v0", "conversational-qa-v0"])
def test_transcripts_on_the_page_are_those_of_the_golden_playthroughs(root, name):
    frames = json.loads((root / "tests" / "golden" / f"{name}.json").read_text(encoding="utf-8"))["frames"]
    lines = [frames[0]["observation"]]
    for frame in frames[1:]:
        lines += [f"> {frame['command']}", frame["observation"]]
    shown = "\n".join(lines)
    assert f"```text\n{shown}\n```" in (root / "docs" / "search-qa.md").read_text(encoding="utf-8")


def test_the_example_runs(root):
    pytest.importorskip("bm25s", reason="needs the extra search")
    page = (root / "docs" / "search-qa.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    made: dict[str, dict[str, object]] = {}
    exec(compile(example, "docs/search-qa.md", "exec"), made)
    assert "gold_titles" in made["info"]
