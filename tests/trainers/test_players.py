"""Games in which each role has a policy of its own, some roles do not learn, or earlier selves play."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agent_gym.errors import BadOptionError
from agent_gym.multi_agent.kuhn_strategies import INFORMATION_SETS
from tests.trainers.corridor import tiny_model
from trainers.cast import Cast, load_players
from trainers.config import EnvConfig, OutputConfig, RewardConfig, RolloutConfig, TrainConfig
from trainers.credit import Gigpo, Rae, Rloo
from trainers.credit.rae import MovingRae
from trainers.earlier import EarlierSelves
from trainers.interrupt import Interruption
from trainers.metrics import is_timing
from trainers.parallel import Ranks
from trainers.players import Players, SelfPlay, iteration_of, model_of, name_of, roles_in
from trainers.playing import Playing
from trainers.policies.hf import HfPolicy
from trainers.policies.load import load_model
from trainers.policies.scripted import ExpertPolicy, RandomPolicy
from trainers.policies.tabular import TabularModel, TabularPolicy, TabularSettings
from trainers.settings import LearnerSettings
from trainers.train import Trainer
from wrappers.make_llm_games import make_llm_games

SMALL = TabularSettings(states=12, commands=4)


def kuhn(num_envs=24):
    return make_llm_games("kuhn_poker_v0", num_envs, context="step")


def config_of(directory, **changes):
    return TrainConfig(
        env=EnvConfig(id="kuhn_poker_v0", context="step", num_envs=24),
        rollout=RolloutConfig(groups=12, group_size=3, max_new_tokens=4),
        reward=RewardConfig(scale=1.0),
        learner=LearnerSettings(learning_rate=0.1),
        output=OutputConfig(report_to=()),
        output_dir=str(directory),
        **{"iterations": 4} | changes,
    )


def tables(path="", learns=True):
    return TabularPolicy(settings=SMALL)


def make_trainer(config, load=tables, **options):
    env = kuhn(config.env.num_envs)
    return Trainer(config, env=env, policy=load_players(config.players, env, "", load), **options)


def lines_of(directory, name):
    lines = [json.loads(line) for line in (directory / name).read_text().splitlines()]
    return [{key: value for key, value in line.items() if not is_timing(key)} for line in lines]


def weights(policy):
    return {name: weight.detach().clone() for name, weight in policy.model.named_parameters()}


# One policy for each role ---------------------------------------------------------------------------------------------

EVERYTHING = {"players": Players(learn="per-role"), "self_play": SelfPlay(every=2, keep=1), "credit": Rae(decay=0.9)}


@pytest.mark.parametrize(
    "changes",
    [
        {"players": Players(learn="per-role")},
        {"self_play": SelfPlay(every=1, keep=2)},
        {"players": Players(roles={"second": "expert"}), "credit": Rae(decay=0.9)},
        EVERYTHING,
    ],
)
def test_a_run_that_goes_on_is_the_run_that_was_not_stopped(tmp_path, changes):
    whole = make_trainer(config_of(tmp_path / "whole", **changes))
    whole.train()
    make_trainer(config_of(tmp_path / "part", **changes, iterations=3)).train()
    part = make_trainer(config_of(tmp_path / "part", **changes), resume=True)
    part.train()
    for name in ("metrics.jsonl", "episodes.jsonl"):
        assert lines_of(tmp_path / "part", name) == lines_of(tmp_path / "whole", name)
    for one, other in zip(whole.students, part.students, strict=True):
        assert one.name == other.name
        assert all(torch.equal(weight, weights(other.policy)[name]) for name, weight in weights(one.policy).items())
    if isinstance(whole.extras.estimator, MovingRae):
        assert part.extras.estimator.state() == whole.extras.estimator.state() != {}


def test_each_role_has_weights_a_learner_and_a_checkpoint_of_its_own(tmp_path):
    trainer = make_trainer(config_of(tmp_path, players=Players(learn="per-role")))
    trainer.train()
    assert [student.name for student in trainer.students] == ["first", "second"]
    last = tmp_path / "checkpoints" / "step_00000004"
    assert roles_in(str(last)) == ["first", "second"]
    for student in trainer.students:
        # A table has met the information sets of its own role, and no others.
        assert set(student.policy.model.names.states) == {
            key for key in INFORMATION_SETS if key.startswith(student.name)
        }
        saved = TabularModel.from_pretrained(model_of(str(last), student.name))
        assert torch.equal(saved.table.weight, student.policy.model.table.weight)
        assert student.learner.step == 4
        assert student.learner._reference.model is not student.policy.model
        assert not student.learner._reference.model.table.weight.any()
    first = lines_of(tmp_path, "metrics.jsonl")[0]
    assert first["learner/first/grad_norm"] > 0
    assert first["learner/second/grad_norm"] > 0
    assert "learner/grad_norm" not in first


def test_with_sgd_and_separate_keys_one_policy_for_each_role_learns_what_a_shared_one_does(tmp_path):
    # The roles' information sets have different keys, and without clipping a step of plain gradient descent moves each
    # entry by its own gradient, which is a mean over the batch's tokens: of both roles, or of one.
    plain = LearnerSettings(optimiser="sgd", learning_rate=1.0, max_grad_norm=1e9)
    changes = {"learner": plain, "iterations": 1, "credit": Rloo()}
    shared = make_trainer(replace(config_of(tmp_path / "shared"), **changes))
    own = make_trainer(replace(config_of(tmp_path / "own", players=Players(learn="per-role")), **changes))
    shared.train()
    own.train()
    logged = [lines_of(tmp_path / name, "metrics.jsonl")[0] for name in ("shared", "own")]
    [together], names = shared.students, shared.students[0].policy.model.names
    for student in own.students:
        scale = logged[1][f"learner/{student.name}/action_tokens"] / logged[0]["learner/action_tokens"]
        mine = student.policy.model
        for key, row in mine.names.states.items():
            for command in student.policy.probabilities(key):
                found = mine.table.weight[row, mine.names.commands[command]].item()
                expected = together.policy.model.table.weight[names.states[key], names.commands[command]].item()
                assert found * scale == pytest.approx(expected, abs=1e-6)


def test_language_models_too(tmp_path):
    path = str(tiny_model(tmp_path / "model"))

    def load(path_of_model, learns):
        return HfPolicy(*load_model(path))

    changes = {
        "players": Players(learn="per-role"),
        "self_play": SelfPlay(share=1.0, every=1),
        "credit": Rae(decay=0.9),
    }
    for name, iterations in (("whole", 2), ("part", 1), ("part", 2)):
        config = replace(
            config_of(tmp_path / name, **changes, iterations=iterations),
            rollout=RolloutConfig(groups=2, group_size=2, max_new_tokens=3),
        )
        trainer = make_trainer(config, load, resume=iterations == 2 and name == "part")
        trainer.train()
    assert lines_of(tmp_path / "part", "metrics.jsonl") == lines_of(tmp_path / "whole", "metrics.jsonl")
    one, other = trainer.students
    assert any(not torch.equal(weight, weights(other.policy)[name]) for name, weight in weights(one.policy).items())
    assert trainer.cast.earlier.kept.keys() == {0, 1}


# Roles that do not learn ----------------------------------------------------------------------------------------------


def test_a_role_of_an_expert_is_played_and_not_learnt_from(tmp_path):
    config = config_of(tmp_path, players=Players(roles={"second": "expert"}), credit=Gigpo())
    trainer = make_trainer(config)
    trainer.train()
    [student] = trainer.students
    assert set(student.policy.model.names.states) == {key for key in INFORMATION_SETS if key.startswith("first")}
    episodes = lines_of(tmp_path, "episodes.jsonl")
    assert len(episodes) == 4 * 12 * 3
    for line in episodes:
        assert (line.get("player"), line.get("against")) == {
            "first": (None, "expert"),
            "second": ("expert", None),
        }[line["kind"]]
        assert all(("advantage" in turn) == (line["kind"] == "first") for turn in line["turns"])
    metrics = lines_of(tmp_path, "metrics.jsonl")[0]
    # 6 deals, 3 episodes each, of one role.
    assert metrics["learner/samples"] == sum(len(one["turns"]) for one in episodes[:18])
    assert metrics["rollout/return"] == metrics["rollout/return_of_first"]
    assert metrics["players/groups_against_others"] == 6
    assert "rollout/return_of_second" not in metrics


def test_an_evaluation_counts_the_roles_that_learn(tmp_path):
    from trainers.config import EvaluationConfig

    config = config_of(
        tmp_path, players=Players(roles={"first": "expert"}), iterations=1, evaluation=EvaluationConfig(split="test")
    )
    make_trainer(config).train()
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert {entry["kind"] for entry in summary["per_task"]} == {"second"}
    assert summary["all"]["tasks"] == 6


def test_a_frozen_model_stays_as_it_is_and_is_taken_from_its_role(tmp_path):
    make_trainer(config_of(tmp_path / "a", players=Players(learn="per-role"), iterations=1)).train()
    saved = str(tmp_path / "a" / "checkpoints" / "step_00000001")
    asked = []

    def load(path, learns):
        asked.append((path, learns))
        return TabularPolicy.load(path) if path else tables()

    trainer = make_trainer(config_of(tmp_path / "b", players=Players(roles={"first": saved})), load)
    assert asked == [(f"{saved}/first", False), ("", True)]
    frozen = trainer.cast.evaluating(["test/JK@player_0"])[0]
    before = weights(frozen.policy)
    trainer.train()
    assert frozen.learner is None
    assert frozen.player == saved
    assert all(torch.equal(weight, before[name]) for name, weight in weights(frozen.policy).items())


# Earlier selves -------------------------------------------------------------------------------------------------------


def kept(settings, iterations):
    policy: Any = TabularPolicy(settings=SMALL)
    earlier = EarlierSelves(settings, {"": policy})
    for iteration in range(iterations):
        with torch.no_grad():
            policy.model.table.weight.fill_(iteration)
        earlier.keep(iteration)
    return earlier


def test_every_so_many_are_kept_and_the_oldest_make_room():
    assert list(kept(SelfPlay(every=3, keep=2), 10).kept) == [6, 9]
    assert list(kept(SelfPlay(every=3, keep=9), 10).kept) == [0, 3, 6, 9]


def test_an_earlier_self_has_the_weights_of_its_time_and_a_checkpoint_keeps_it():
    earlier = kept(SelfPlay(every=2, keep=5), 6)
    other = EarlierSelves(earlier.settings, {"": TabularPolicy(settings=SMALL)})
    other.load_state(earlier.state())
    for selves in (earlier, other):
        for iteration in (4, 0, 2):
            policy: Any = selves.call(iteration)[""]
            assert torch.equal(policy.model.table.weight, torch.full((12, 4), float(iteration)))
    assert earlier._policies[""].model.table.weight[0, 0] == 5


@given(rule=st.sampled_from(["uniform", "latest"]), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_only_what_is_earlier_is_drawn(rule, share, seed):
    earlier = kept(SelfPlay(rule=rule, share=share, every=2, keep=3), 7)  # 2, 4 and 6
    drawn = [earlier.draw(6, np.random.default_rng((seed, n))) for n in range(60)]
    assert set(drawn) <= ({None, 2, 4} if rule == "uniform" else {None, 4})
    if share in (0.0, 1.0):
        assert (None in drawn) == (share == 0)
    assert earlier.draw(2, np.random.default_rng(seed)) is None


def test_half_and_half_over_many_games():
    earlier = kept(SelfPlay(share=0.25, every=1, keep=2), 3)
    rng = np.random.default_rng(0)
    drawn = [earlier.draw(3, rng) for _ in range(4000)]
    # 1000 of each earlier one would be 500: 5 standard deviations are about 105.
    assert abs(drawn.count(1) - 500) < 105
    assert abs(drawn.count(2) - 500) < 105


def test_against_an_earlier_self_one_role_learns_and_the_log_says_who_played_whom(tmp_path):
    config = config_of(tmp_path, self_play=SelfPlay(share=1.0, every=1, keep=2))
    make_trainer(config).train()
    metrics, episodes = lines_of(tmp_path, "metrics.jsonl"), lines_of(tmp_path, "episodes.jsonl")
    # In the first iteration nobody is earlier; afterwards one group of each of the six games learns.
    assert [line.get("players/groups_against_earlier") for line in metrics] == [None, 6, 6, 6]
    assert metrics[1]["players/age_of_earlier"] == 1
    assert 1 <= metrics[3]["players/age_of_earlier"] <= 2
    for line in episodes:
        learnt = all("advantage" in turn for turn in line["turns"])
        assert learnt == ("player" not in line)
        born = [iteration_of(line[name]) for name in ("player", "against") if name in line]
        assert all(line["iteration"] - 2 <= one < line["iteration"] for one in born)
        assert len(born) == (line["iteration"] > 0)
    for iteration in range(1, 4):
        games: dict[str, list[str]] = {}
        for line in episodes:
            if line["iteration"] == iteration:
                games.setdefault(line["task"].split("@")[0], []).append(line.get("player", "in hand"))
        assert all(len(set(players)) == 2 for players in games.values())


def test_who_meets_whom_does_not_depend_on_ranks_or_slots():
    class OneOfTwo(Ranks):
        def stretch(self, count):
            return range(count * self.rank // 2, count * (self.rank + 1) // 2)

    config = config_of("unused", self_play=SelfPlay(share=0.7, every=1))

    def play(ranks, slots):
        env = kuhn(slots)
        playing = Playing(TabularPolicy(settings=SMALL), env, config, ranks)
        cast = playing.cast
        assert cast.earlier is not None
        for iteration in range(4):
            with torch.no_grad():
                cast.learners[""].model.table.weight.fill_(iteration).mul_(torch.arange(4.0))
            cast.earlier.keep(iteration)
        tasks = list(env.tasks("train"))
        return playing.train(tasks, 3, 4, 0, Interruption())[0]

    def told(groups):
        return [
            (one.task, one.learner, one.player, one.against, [e.rewards.tolist() for e in one.episodes])
            for one in groups
        ]

    whole = play(Ranks(), 24)
    assert len({group.against for group in whole}) > 2
    halves = [play(OneOfTwo(rank=rank), 6) for rank in (0, 1)]
    assert told([*halves[0], *halves[1]]) == told(whole)


def test_names_of_earlier_selves():
    assert iteration_of(name_of(40)) == 40
    assert iteration_of("iteration 40, expert") == 40
    assert iteration_of("expert") is None


# What would not work --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "policy", "said"),
    [
        (
            {"players": Players(roles={"dealer": "expert"})},
            tables(),
            r"'dealer': it must be one of \['first', 'second'\]",
        ),
        (
            {"players": Players(roles={"first": "expert", "second": "random"})},
            tables(),
            "must leave a role to the model",
        ),
        ({"players": Players(learn="per-role")}, tables(), "a policy for each of"),
        ({}, {"first": tables()}, "a policy for each of the roles"),
        ({}, {"first": tables(), "second": tables()}, "'shared', got 2 different policies"),
        ({"self_play": SelfPlay()}, RandomPolicy(), "RandomPolicy"),
        (
            {"self_play": SelfPlay(), "players": Players(roles={"first": "expert"})},
            {"first": ExpertPolicy(), "second": tables()},
            "two roles or more",
        ),
    ],
)
def test_policies_that_do_not_fit_are_refused(changes, policy, said):
    with pytest.raises(BadOptionError, match=said):
        Cast(config_of("unused", **changes), kuhn(), policy)


@pytest.mark.parametrize("settings", [{"share": 1.5}, {"rule": "oldest"}, {"every": 0}, {"keep": 0}])
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        SelfPlay(**settings)
