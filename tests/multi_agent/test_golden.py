"""Every game plays its golden games word for word, and docs/multi-agent.md shows pieces of them."""

import json
import re
from pathlib import Path

import pytest

from agent_gym import keys
from agent_gym.multi_agent.games import game_names, load_game

GOLDEN = Path(__file__).parent / "golden"
SHOWN = {
    "Kuhn poker": "kuhn-poker-v0",
    "Negotiation": "negotiation-v0",
    "Household": "household-v0-two-things",
    "Twenty questions": "twenty-questions-v0",
}
"""By heading of the page, which golden game stands below it."""


def golden_of(path):
    golden = json.loads(path.read_text(encoding="utf-8"))
    return {"id": "household_v0", "kwargs": {}, "ends": {}} | golden


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_golden_playthrough(path):
    """A change of text, dynamics, reward or tasks is a new version: the file must not be edited for the old one."""
    golden = golden_of(path)
    game = load_game(golden["id"]).raw_env(**golden["kwargs"])
    game.reset(seed=0, options={"task": golden["task"]})
    for frame in golden["frames"]:
        agent = game.turn
        assert agent is not None
        info = game.infos[agent]
        assert (agent, game.observe(agent)["text"]) == (frame["agent"], frame["observation"])
        assert list(info[keys.ADMISSIBLE_ACTIONS]) == frame["admissible"]
        assert info[keys.STATE_KEY] == frame["state_key"]
        game.step(frame["command"])
        assert game.rewards == frame["rewards"]
        assert game.infos[agent][keys.ACTION_VALID] is frame.get("valid", True)
        assert game.infos[agent].get("progress") == frame.get("progress", game.infos[agent].get("progress"))
    assert game.turn is None
    for agent, text in golden["ends"].items():
        assert game.observe(agent)["text"] == text


def test_every_game_has_a_golden_playthrough():
    assert {golden_of(path)["id"] for path in GOLDEN.glob("*.json")} == set(game_names())


@pytest.mark.parametrize(("heading", "name"), SHOWN.items())
def test_the_transcript_on_the_page_is_a_golden_playthrough(root, heading, name):
    page = (root / "docs" / "multi-agent.md").read_text(encoding="utf-8")
    [block] = re.findall(rf"^## {heading}\n\n```text\n(.*?)```$", page, re.DOTALL | re.MULTILINE)
    whole = written(golden_of(GOLDEN / f"{name}.json"))
    pieces = block.split("…\n")
    assert whole.startswith(pieces[0])
    assert whole.endswith(pieces[-1])
    assert all(piece in whole for piece in pieces)


def written(golden):
    """A game as the page has it: what an agent reads, then what it says; of a team, what the first one reads."""
    team = golden["id"] == "household_v0"
    lines = []
    for frame in golden["frames"]:
        if not team or frame["agent"] == "robot_0":
            lines.append(f"{frame['agent']}: {frame['observation']}")
        lines.append(f"{frame['agent']}> {frame['command']}")
    for agent, text in golden["ends"].items():
        if not team or agent == "robot_0":
            lines.append(f"{agent}: {text}   [{golden['frames'][-1]['rewards'][agent]:+g}]")
    return "\n".join(lines) + "\n"
