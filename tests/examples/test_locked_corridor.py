"""The environment of docs/write-your-own-environment.md keeps the contract, and the page shows its very code."""

import functools
import re
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agent_gym import TextVectorEnv, keys
from agent_gym.errors import NoExpertError
from agent_gym.testing import check_state_keys, check_text_env
from examples.locked_corridor import ID, SIZES, LockedCorridor, layouts
from trainers.cli import main


def test_keeps_the_contract() -> None:
    check_text_env(ID)


def test_number_of_tasks_is_that_of_all_layouts() -> None:
    # n rooms: n starts, and n (n - 1) places for key and door. 3: 18, 4: 48, 5: 100, 6: 180.
    assert len(layouts("train")) == 18 + 48 + 100 + 180
    assert len(layouts("test")) == 8 * 8 * 7 + 9 * 9 * 8
    assert set(SIZES) == {"train", "test"}


def test_expert_solves_every_task_within_three_times_the_rooms() -> None:
    env = gym.make(ID)
    for task in [*layouts("train"), *layouts("test")]:
        env.reset(options={"task": task})
        for _ in range(3 * int(task.split("/")[1][0])):
            _, reward, terminated, truncated, info = env.step(env.unwrapped.expert_action())
            if terminated or truncated:
                break
        assert (reward, info["success"]) == (1.0, True), task


def test_page_shows_the_code_of_the_example(root: Path) -> None:
    page = (root / "docs" / "write-your-own-environment.md").read_text(encoding="utf-8")
    source = (root / "examples" / "locked_corridor.py").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (own,) = [block for block in blocks if "check_text_env" in block]
    for block in blocks:
        assert block is own or block.strip() in source, f"the page shows what the example does not hold:\n{block}"
    shown = "\n".join(blocks)
    for line in source[source.index("from __future__") : source.index("def main")].splitlines():
        assert line in shown, f"the example holds what the page does not show:\n{line}"
    exec(compile(own, "write-your-own-environment.md", "exec"), {})


def test_commands_of_the_page_exist(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (root / "docs" / "write-your-own-environment.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    played, rolled, trained, viewed = (line.split()[1:] for line in block.splitlines())
    assert (played[0], viewed[0]) == ("play", "view")
    assert played[1] == rolled[1] == trained[1] == f"{LockedCorridor.__module__}:{ID}"
    assert main(rolled) == 0
    assert re.search(r"^all +20 +100\.0 ", capsys.readouterr().out, re.MULTILINE)


class ExpertlessCorridor(LockedCorridor):
    """Nobody knows the way here."""

    def make_expert(self) -> Any:
        raise NoExpertError("there is no expert for this corridor.")


def test_keeps_the_contract_without_an_expert() -> None:
    name = "Example/ExpertlessCorridor-v0"
    gym.register(
        name,
        entry_point=f"{__name__}:ExpertlessCorridor",
        vector_entry_point=functools.partial(TextVectorEnv.of, name),
        max_episode_steps=40,
    )
    try:
        check_text_env(name)
    finally:
        del gym.registry[name]


class Forgetful(LockedCorridor):
    """The mistake the page warns of: whether the key has been taken is not in the state key."""

    def _info(self, *, solved: bool) -> dict[str, Any]:
        return super()._info(solved=solved) | {keys.STATE_KEY: f"{self._task_id}@{self._room}"}


def test_a_key_that_leaves_something_out_is_found() -> None:
    with pytest.raises(AssertionError, match="stands for states"):
        check_state_keys(Forgetful(), "train/3-1-2-3", 60, np.random.default_rng(0))
    check_state_keys(LockedCorridor(), "train/3-1-2-3", 60, np.random.default_rng(0))
