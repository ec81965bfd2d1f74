"""The verb `plan`, as typed, and the times that it foretells."""

import dataclasses
import re

import pytest

from trainers.cli import main
from trainers.config import EnvConfig, TrainConfig
from trainers.credit import Grpo
from trainers.losses.ppo import PpoLoss
from trainers.recipes import RECIPES
from trainers.scale.command import parse_plan
from trainers.scale.machine import Machine, Work
from trainers.scale.plan import Plan, remedies
from trainers.scale.shapes import KNOWN
from trainers.scale.timing import learning_flops, times_of, tokens_of
from trainers.settings import LearnerSettings, SamplerSettings

STEP = EnvConfig(id="AgentGym/ALFWorld-v0", context="step", num_envs=128)
SHAPE = KNOWN["Qwen2.5-1.5B"]


def test_tokens_are_counted():
    # 16 x 8 episodes of 10 turns, with 500 tokens read and 100 sampled in each.
    work = Work(turns=10, prompt_tokens=500, observation_tokens=50, answer_tokens=100)
    tokens = tokens_of(TrainConfig(env=STEP), work)
    assert (tokens.read, tokens.sampled, tokens.learnt, tokens.length) == (640_000, 128_000, 768_000, 600)
    conversation = tokens_of(TrainConfig(env=dataclasses.replace(STEP, context="conversation")), work)
    assert (conversation.read, conversation.learnt, conversation.length) == (64_000, 192_000, 1500)


def test_passes_are_counted():
    work, plain = Work(), LearnerSettings()

    def flops(kl_weight=0.0, **settings):
        learner = dataclasses.replace(plain, **settings)
        return learning_flops(SHAPE, TrainConfig(env=STEP, loss=PpoLoss(kl_weight=kl_weight), learner=learner), work)

    forward = flops() / 3
    assert flops(kl_weight=0.01) == pytest.approx(4 * forward)  # the reference
    assert flops(minibatches=4) == pytest.approx(4 * forward)  # the policy before the first of four steps
    assert flops(epochs=2) == pytest.approx(7 * forward)
    assert 3.9 * forward < flops(gradient_checkpointing=True) < 4 * forward  # all but the output layer, once more


def test_more_gpus_take_less_time_until_the_longest_episode_counts():
    config = TrainConfig(env=STEP, sampler=SamplerSettings(engine="vllm"))
    work = Work(turns=20, longest=50, answer_tokens=100)
    times = [times_of(SHAPE, config, Machine(gpus=gpus), work) for gpus in (1, 8, 64)]
    assert times[1].computing == pytest.approx(times[0].computing / 8)
    assert times[1].reading == pytest.approx(times[0].reading / 8)
    # 50 turns of 100 tokens come one after the other on any number of GPUs: 5,000 steps of 6 ms.
    assert times[0].writing > times[1].writing > times[2].writing > 30


def test_separate_gpus_share_the_work():
    config = TrainConfig(env=STEP, sampler=SamplerSettings(engine="vllm"))
    together = times_of(SHAPE, config, Machine(gpus=8), Work())
    apart = times_of(SHAPE, config, Machine(gpus=8, sampling_gpus=4), Work())
    assert apart.computing == pytest.approx(2 * together.computing)
    assert apart.reading == pytest.approx(2 * together.reading)


def test_what_helps_is_true():
    config = TrainConfig(env=STEP, sampler=SamplerSettings(engine="vllm"))
    plan = Plan(shape=KNOWN["Qwen2.5-7B"], config=config, machine=Machine(gpus=2), work=Work())
    assert plan.missing_gib > 0
    told = dict(remedies(plan))
    assert told
    for words, still in told.items():
        start = ["--model", "qwen2.5-7b", "--env.context", "step", "--env.num-envs", "128", "--gpus", "2"]
        verb = parse_plan([*start, "--sampler.engine", "vllm", *words.split()])
        again = Plan(shape=plan.shape, config=verb.config, machine=verb.machine, work=verb.work)
        assert again.missing_gib == pytest.approx(still)
        assert still < plan.missing_gib
    assert any(still <= 0 and "--gpus" in words for words, still in told.items())


def test_advice_leaves_out_what_the_optimiser_refuses():
    config = TrainConfig(env=STEP, learner=LearnerSettings(optimiser="muon"))
    plan = Plan(shape=KNOWN["Qwen2.5-7B"], config=config, machine=Machine(gpus=2), work=Work())
    assert plan.missing_gib > 0
    words = [word for word, _ in remedies(plan)]
    assert words
    assert not any("fsdp2" in word for word in words)


@pytest.mark.parametrize(("gpus", "fits"), [(1, False), (8, True)])
def test_as_typed(gpus, fits, capsys):
    status = main(["plan", "--recipe", "alfworld-qwen-7b", "--gpus", str(gpus), "--hours", "24"])
    told = capsys.readouterr().out
    assert status == (0 if fits else 1)
    assert "7,615,616,512 weights" in told
    assert ("It fits" if fits else "GiB more per GPU. What would help:") in told
    assert re.search(r"For all of them in 24 hours an iteration may take 576.0 s", told)


def test_words_of_train_are_taken(tmp_path):
    verb = parse_plan(["--recipe", "alfworld-qwen-1.5b", "credit:grpo", "--model.lora-rank", "8", "--work.turns", "9"])
    assert verb.config.credit == Grpo()
    assert verb.config.model.lora_rank == 8
    assert verb.work == Work(turns=9, longest=50, prompt_tokens=800, answer_tokens=120)


def test_mistakes(capsys):
    assert main(["plan"]) == 2
    assert main(["plan", "--model", "no-such-model"]) == 2
    assert main(["plan", "--model", "qwen2.5-7b", "--hours", "0"]) == 2
    assert main(["plan", "--model", "qwen2.5-7b", "--gpus", "2", "--sampling-gpus", "2"]) == 2
    assert "fewer of them that only generate" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in RECIPES if "qwen" in name])
def test_a_published_experiment_resolves_without_weights_or_data(name, capsys, tmp_path):
    assert main(["train", "--recipe", name, "--dry-run", "--output-dir", str(tmp_path / "never")]) == 0
    told = capsys.readouterr().out
    assert "Before it can run: " in told
    assert "so nothing was played" in told
    assert "learning_rate = 1e-06" in told
    assert not (tmp_path / "never").exists()
