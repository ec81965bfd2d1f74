"""What is compared with what in a game of several agents: nothing of one role with anything of another."""

from dataclasses import replace

import numpy as np
import pytest

from agent_gym.multi_agent.core import TextGame
from agent_gym.multi_agent.parts import View
from agent_gym.multi_agent.slots import GameSlots
from trainers.assign import assign_batch
from trainers.config import EnvConfig, RolloutConfig, TrainConfig
from trainers.credit import Gigpo, Rae, Rloo
from trainers.parallel import Ranks
from trainers.players import Players
from trainers.policies.base import Sampling
from trainers.policies.scripted import ByteCodec, ScriptedPolicy
from trainers.policies.tabular import TabularPolicy, TabularSettings
from trainers.rollout import play
from trainers.students import Student
from wrappers import wrap_for_llm

TASKS = ["train/0@player_0", "train/0@player_1"]


class Alike(TextGame):
    """Two agents each say a or b twice, in turn, and are paid for it; their keys are the same. b is worth 1 and 10."""

    metadata = {"name": "alike_v0", "render_modes": ["ansi"], "is_parallelizable": False}  # noqa: RUF012  as in every game
    roles = {"player_0": "first", "player_1": "second"}  # noqa: RUF012  likewise
    splits = ("test", "train")
    example_task = "train/0"

    def __init__(self, split="train", render_mode=None):
        super().__init__(tasks={"test": ["test/0"], "train": ["train/0"]}, split=split, render_mode=render_mode)

    def instructions(self, agent):
        return "Say a or b."

    def make_expert(self, agent):
        raise NotImplementedError

    def _start(self, task):
        self.said = 0
        for agent in self.possible_agents:
            self._tell(agent, "Say something.")

    def _turn(self):
        return None if self.said == 4 else self.possible_agents[self.said % 2]

    def _understands(self, agent, command):
        return command in ("a", "b")

    def _play(self, agent, command):
        self.said += 1
        self._pay(agent, (command == "b") * (10.0 if agent == "player_1" else 1.0))
        self._tell(agent, "Said.")

    def _view(self, agent):
        return View(key=f"word {self.said // 2}", commands=("a", "b"))

    def _get_state(self):
        return self.said

    def _set_state(self, state):
        self.said = state


class Words(ScriptedPolicy):
    """Members of a group say `ab`, `bb` and so on, as written down for the role; the prompt does not matter."""

    def __init__(self, words):
        super().__init__(ByteCodec())
        self.words = {role: [iter(one) for one in words[role]] for role in words}
        self.seat = {}

    def answer(self, request):
        role = request.frame.info["role"]
        waiting = self.words[role]
        turn = self.seat.setdefault(role, 0)
        self.seat[role] = turn + 1
        return next(waiting[turn % len(waiting)])


def played():
    env = GameSlots(Alike, 6, lambda view: wrap_for_llm(view, context="step", action_format="bare"))
    words = {"first": ["ab", "bb", "aa"], "second": ["ba", "ab", "aa"]}
    groups, _ = play(Words(words), env, TASKS, group_size=3, sampling=Sampling(), context="step", seed=0)
    return groups


def test_the_two_roles_share_keys_and_not_groups():
    first, second = played()
    assert [[turn.state_key for turn in one.turns] for one in (*first.episodes, *second.episodes)] == [
        ["word 0", "word 1"]
    ] * 6
    assert [one.rewards.tolist() for one in first.episodes] == [[0, 1], [1, 1], [0, 0]]
    assert [one.rewards.tolist() for one in second.episodes] == [[10, 0], [0, 10], [0, 0]]


EXPECTED = {
    # Totals of the first's 1, 2, 0 less their mean 1; returns from the first word, with gamma 1, are the same, less
    # their mean 1; from the second word 1, 1, 0 less 2/3.
    "first": [[0.0 + 0, 0 + 1 / 3], [1 + 1, 1 + 1 / 3], [-1 - 1, -1 - 2 / 3]],
    # 10, 10, 0 less 20/3; from the first word the same; from the second 0, 10, 0 less 10/3.
    "second": [
        [10 / 3 + 10 / 3, 10 / 3 - 10 / 3],
        [10 / 3 + 10 / 3, 10 / 3 + 20 / 3],
        [-20 / 3 - 20 / 3, -20 / 3 - 10 / 3],
    ],
}
"""A = A^E + A^S. With anchors over both roles the second word would be compared with 0, 10, 0, 1, 1 and 0."""


def test_anchors_of_gigpo_never_mix_roles():
    credited = assign_batch(Gigpo(gamma=1.0, normalise=False), played())
    for one, role in zip(credited, ("first", "second"), strict=True):
        np.testing.assert_allclose(one.advantages, EXPECTED[role], atol=1e-12)
        assert one.anchors.tolist() == [0, 1] * 3


@pytest.mark.parametrize("learn", ["shared", "per-role"])
def test_nor_do_they_where_each_role_has_a_policy_of_its_own(learn):
    config = TrainConfig(
        env=EnvConfig(id="alike_v0", context="step"),
        rollout=RolloutConfig(groups=2, group_size=3),
        players=Players(learn=learn),
    )
    names = ["first", "second"] if learn == "per-role" else [""]
    students = [
        Student(name, TabularPolicy(settings=TabularSettings(states=2, commands=2)), config, Ranks()) for name in names
    ]
    groups = [
        replace(group, learner=role if learn == "per-role" else "")
        for group, role in zip(played(), ("first", "second"), strict=True)
    ]
    found = [one for student in students for one in student.credit(Gigpo(gamma=1.0, normalise=False), groups, [])]
    for one, role in zip(found, ("first", "second"), strict=True):
        np.testing.assert_allclose(one.advantages, EXPECTED[role], atol=1e-12)
    # Leave one out of the group, and over the batch: with one group of each role that is the same.
    expected = {"first": [0.0, 1.5, -1.5], "second": [5.0, 5.0, -10.0]}
    for credit in (Rloo(), Rae()):
        found = [one for student in students for one in student.credit(credit, groups, [])]
        for one, role in zip(found, ("first", "second"), strict=True):
            assert [float(advantage[0]) for advantage in one.advantages] == pytest.approx(expected[role])
