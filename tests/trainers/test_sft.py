from typing import get_args

import numpy as np
import pytest

from agent_gym.errors import BadOptionError
from tests.trainers.corridor import corridor, tiny_model
from trainers.config import EnvConfig
from trainers.policies.hf import HfPolicy
from trainers.policies.load import load_model
from trainers.policies.scripted import ByteCodec
from trainers.settings import LearnerSettings
from trainers.sft import ANSWER_FORMS, Demonstrator, SftConfig, clone, demonstrate
from wrappers.parse_action import ActionFormat, parse_answer


def test_an_answer_is_written_in_the_form_that_the_environment_reads():
    assert set(ANSWER_FORMS) == set(get_args(ActionFormat))
    for action_format in get_args(ActionFormat):
        answer = ANSWER_FORMS[action_format].format(command="take mug 1")
        assert parse_answer(answer, action_format) == ("take mug 1", True)


def test_demonstrations_solve_their_tasks():
    demonstrator = Demonstrator(ByteCodec(), form="{command}")
    groups = demonstrate(demonstrator, corridor(), "train", 10, context="conversation", seed=0)
    assert len(groups) == 10
    assert all(group.episodes[0].success for group in groups)
    assert all(np.all(weight == 1) for group in groups for weight in demonstrator.weights(group))


def test_a_slip_is_seen_but_not_imitated():
    demonstrator = Demonstrator(ByteCodec(), form="{command}", slips=0.3)
    groups = demonstrate(demonstrator, corridor(1), "train", 20, context="conversation", seed=0)
    slips = 0
    for group in groups:
        env = corridor(1)
        env.start([0], [group.task], [0])
        [weights] = demonstrator.weights(group)
        for turn, weight in zip(group.episodes[0].turns, weights, strict=True):
            assert weight == (turn.answer == env.envs[0].unwrapped.expert_action())
            slips += not weight
            env.step([0], [turn.answer])
    assert 5 < slips < sum(len(group.episodes[0].turns) for group in groups) / 2


def test_nothing_to_imitate():
    demonstrator = Demonstrator(ByteCodec(), form="say {command}")
    with pytest.raises(BadOptionError, match="none out of 2"):
        demonstrate(demonstrator, corridor(max_episode_steps=5), "train", 2, context="conversation", seed=0)


def test_a_model_learns_to_say_what_the_expert_says(tmp_path):
    model, tokenizer = load_model(tiny_model(tmp_path / "model"))
    policy = HfPolicy(model, tokenizer)
    losses = []
    config = SftConfig(
        env=EnvConfig(settings={"action_format": "bare"}),
        learner=LearnerSettings(learning_rate=0.01),
        episodes=8,
        epochs=4,
        batch_size=2,
    )
    env = corridor()
    shown = clone(
        model,
        policy.codec,
        policy.context_limit,
        env,
        "train",
        config,
        lambda _, metrics: losses.append(metrics["loss"]),
    )
    assert shown == 8
    assert losses[0] > 3
    assert losses[-1] < losses[0] / 2
    with pytest.raises(BadOptionError, match="context of 50 tokens"):
        clone(model, policy.codec, 50, env, "train", config)
