from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from agent_gym.errors import BadOptionError
from tests.trainers.corridor import corridor, tiny_model
from trainers.config import EnvConfig
from trainers.policies.hf import HfPolicy
from trainers.policies.load import load_model
from trainers.policies.scripted import ByteCodec
from trainers.settings import LearnerSettings
from trainers.sft import ANSWER_FORMS, Cloner, Demonstrator, SftConfig, demonstrate
from wrappers.parse_action import ActionFormat, parse_answer


def test_an_answer_is_written_in_the_form_that_the_environment_reads():
    assert set(ANSWER_FORMS) == set(get_args(ActionFormat))
    for action_format in get_args(ActionFormat):
        answer = ANSWER_FORMS[action_format].format(command="take mug 1")
        assert parse_answer(answer, action_format) == ("take mug 1", True)


def test_demonstrations_solve_their_tasks():
    demonstrator = Demonstrator(ByteCodec(), form="{command}")
    env = corridor()
    groups = demonstrate(demonstrator, env, env.tasks("train")[:10], context="conversation", seed=0)
    assert len(groups) == 10
    assert all(group.episodes[0].success for group in groups)
    assert all(np.all(weight == 1) for group in groups for weight in demonstrator.weights(group))


def test_a_slip_is_seen_but_not_imitated():
    demonstrator = Demonstrator(ByteCodec(), form="{command}", slips=0.3)
    one = corridor(1)
    groups = demonstrate(demonstrator, one, one.tasks("train")[:20], context="conversation", seed=0)
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
    env = corridor(max_episode_steps=5)
    with pytest.raises(BadOptionError, match="none out of 2"):
        demonstrate(demonstrator, env, env.tasks("train")[:2], context="conversation", seed=0)


CONFIG = SftConfig(
    env=EnvConfig(settings={"action_format": "bare"}),
    learner=LearnerSettings(learning_rate=0.01, schedule="linear", optimiser="muon"),
    episodes=4,
    rounds=3,
    epochs=2,
    batch_size=2,
    slips=0.1,
)


def cloner(directory, config=CONFIG, limit=None, checkpoints=None):
    model, tokenizer = load_model(tiny_model(directory))
    policy = HfPolicy(model, tokenizer)
    return Cloner(
        model,
        tokenizer,
        policy.codec,
        limit or policy.context_limit,
        corridor(),
        "train",
        config,
        directory=checkpoints,
    )


def test_a_model_learns_to_say_what_the_expert_says(tmp_path):
    losses = {}
    one = cloner(tmp_path)
    assert one.run(lambda number, epoch, metrics: losses.update({(number, epoch): metrics["loss"]})) == 12
    assert sorted(losses) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert losses[0, 0] > 3
    assert losses[2, 0] < 0.7 * losses[0, 0]  # on tasks that were not shown before


def test_each_round_shows_other_tasks(tmp_path):
    one = cloner(tmp_path)
    rounds = []
    for one.round in range(3):
        rounds.append({tuple(sample.ids.tolist()) for sample in one._samples()})
    assert not rounds[0] & rounds[1]
    assert not rounds[1] & rounds[2]


def test_imitation_that_was_interrupted_goes_on_bit_for_bit(tmp_path):
    def weights(of):
        return [parameter.detach().clone() for parameter in of.model.parameters()]

    whole = cloner(tmp_path / "a")
    whole.run()

    def stop(number, epoch, _):
        if (number, epoch) == (1, 1):
            raise KeyboardInterrupt  # after the second round was learnt, before it was saved

    first = cloner(tmp_path / "b", checkpoints=tmp_path / "checkpoints")
    with pytest.raises(KeyboardInterrupt):
        first.run(stop)
    with pytest.raises(BadOptionError, match=r"begun with other settings \(epochs\)"):
        cloner(tmp_path / "d", replace(CONFIG, epochs=1), checkpoints=tmp_path / "checkpoints")
    second = cloner(tmp_path / "c", checkpoints=tmp_path / "checkpoints")
    assert (second.round, second.shown) == (1, 4)
    assert second.run() == 12
    assert all(torch.equal(p, q) for p, q in zip(weights(second), weights(whole), strict=True))


def test_observations_can_be_learnt_too_and_slips_never_are(tmp_path):
    plain = cloner(tmp_path, replace(CONFIG, slips=0.5))._samples()
    reading = cloner(tmp_path, replace(CONFIG, slips=0.5, observation_weight=0.25))._samples()
    slips = 0
    for one, other in zip(plain, reading, strict=True):
        assert not other.action_mask[0]
        assert other.action_mask[1:].all()
        said = one.action_mask
        assert set(other.advantages[~said][1:]) == {0.25}
        assert (other.advantages[said] == one.advantages[said]).all()
        slips += int((other.advantages == 0).sum())
    assert slips


def test_demonstrations_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(BadOptionError, match="context of 50 tokens"):
        cloner(tmp_path, limit=50).run()
