"""GEM's environments, played beside the raw library."""

import logging
import random
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys, restore_state, save_state, testing
from agent_gym.errors import BadOptionError, NoExpertError, UnsupportedGameError

gem = pytest.importorskip("gem", reason="needs the extra gem")
pytest.importorskip("gem.envs", reason="needs the extra gem")


def make(game, **settings):
    return gym.make("AgentGym/GEM-v0", game=game, disable_env_checker=True, **settings)


@pytest.mark.parametrize(
    ("game", "commands"),
    [
        ("game:Minesweeper-v0-easy", ["\\boxed{reveal 2 2}", "\\boxed{flag 0 0}", "\\boxed{reveal 4 0}"]),
        ("game:Game2048-v0-easy", ["\\boxed{up}", "\\boxed{left}", "\\boxed{down}", "\\boxed{right}"] * 4),
        ("game:Sokoban-v0-easy", ["\\boxed{up}", "\\boxed{left}", "\\boxed{down}", "\\boxed{right}"]),
        ("game:TowerofHanoi-v0-easy", ["\\boxed{A C}", "\\boxed{A B}", "\\boxed{C B}"]),
        ("game:FifteenPuzzle-v0-easy", ["\\boxed{up}", "\\boxed{left}"]),
    ],
)
def test_it_plays_as_the_raw_library_does(game, commands):
    env = make(game)
    seed = env.unwrapped.seed_of("valid/00002")
    raw = gem.make(game)
    rules, info = raw.reset(seed=seed)
    expected = [info["suffix"] or "The game begins."]
    rewards = []
    for command in commands:
        text, reward, terminated, truncated, info = raw.step(command)
        expected.append("\n".join(part for part in (text.strip(), info["suffix"]) if part))
        rewards.append(float(reward))
        if terminated or truncated:
            break
    frames: list[Any] = [env.reset(options={"task": "valid/00002"})]
    frames += [env.step(command) for command in commands[: len(rewards)]]
    assert env.unwrapped.instructions == rules.strip()
    assert [frame[0] for frame in frames] == expected
    assert [frame[1] for frame in frames[1:]] == rewards


@pytest.mark.parametrize("game", ["game:Game2048-v0-easy", "game:Minesweeper-v0-easy"])
def test_two_environments_interleaved_give_what_each_gives_alone(game):
    def walk(env, others=()):
        frames: list[Any] = [env.reset(options={"task": "train/00001"})]
        while len(frames) < 10 and not (len(frames) > 1 and frames[-1][2]):
            for other in others:
                other.reset(options={"task": "valid/00000"})
            frames.append(env.step(frames[-1][-1][keys.ADMISSIBLE_ACTIONS][0]))
        return frames

    alone = walk(make(game))
    before = random.getstate(), np.random.get_state(legacy=False)["state"]["key"].tolist()
    assert walk(make(game), [make(game), make("game:Sokoban-v0-easy")]) == alone
    assert (random.getstate(), np.random.get_state(legacy=False)["state"]["key"].tolist()) == before


def test_a_game_with_chance_keeps_the_contract():
    game, rng = "game:Game2048-v0-easy", np.random.default_rng(0)
    env = make(game)
    commands = testing.check_episode(env, "train/00000", 12, rng)
    testing.check_repeatable(lambda: make(game), "train/00000", commands)
    testing.check_saving(env, make(game), "train/00000", commands, rng)
    testing.check_state_keys(env, "train/00000", 20, rng)
    testing.check_odd_commands(env, "train/00000")


@pytest.mark.parametrize(
    ("game", "listed"),
    [
        ("game:FifteenPuzzle-v0-easy", 2),  # from a corner of 2 × 2
        ("game:Sudoku-v0-easy", None),
        ("game:TowerofHanoi-v0-easy", 2),  # the smallest disk, to two places
        ("game:Sokoban-v0-easy", None),
        ("game:Mastermind-v0-easy", None),
        ("game:Crosswords-v0-easy", None),
    ],
)
def test_what_is_listed_is_taken(game, listed):
    env, rng = make(game), np.random.default_rng(1)
    for task in ("train/00000", "test/00001"):
        _, info = env.reset(options={"task": task})
        assert listed in (None, len(info[keys.ADMISSIBLE_ACTIONS]))
        commands = testing.check_episode(env, task, 12, rng)
        testing.check_repeatable(lambda: make(game), task, commands)


def test_a_sudoku_can_be_solved_by_what_is_listed():
    env, info = make("game:Sudoku-v0-easy"), {}
    for task in ("train/00000", "train/00001", "train/00002"):
        _, info = env.reset(options={"task": task})
        while not info[keys.SUCCESS] and info[keys.ADMISSIBLE_ACTIONS]:
            right = env.unwrapped._env.full_grid  # the digits are GEM's own solution
            fitting = [
                command
                for command in info[keys.ADMISSIBLE_ACTIONS]
                for row, column, digit in [map(int, command[7:-1].split())]
                if right[row - 1][column - 1] == digit
            ]
            assert len(fitting) == 1
            *_, info = env.step(fitting[0])
        assert info[keys.SUCCESS]


def test_a_wrong_form_is_refused_and_by_gems_own_rule_ends_the_game():
    env = make("game:Mastermind-v0-easy")
    _, first = env.reset(options={"task": "train/00000"})
    _, reward, ended, _, info = env.step("I don't know")
    assert (reward, ended, info[keys.ACTION_VALID]) == (0.0, False, False)
    assert info[keys.STATE_KEY] == first[keys.STATE_KEY]
    env = make("game:Mastermind-v0-easy", invalid="library")
    env.reset(options={"task": "train/00000"})
    _, reward, ended, _, info = env.step("I don't know")
    assert (reward, ended, info[keys.SUCCESS], info[keys.SCORE]) == (-0.1, True, False, 0.0)


def test_generated_questions_have_their_own_seeds_and_a_known_answer():
    """GEM's `rg:` environments draw from 500 entries; here each task is the first entry of a data set of its own."""
    env = make("rg:chain_sum")
    questions = {env.reset(options={"task": f"{split}/{n:05d}"})[0] for split in env.unwrapped.splits for n in range(3)}
    assert len(questions) == 9
    _, reward, ended, _, info = env.step(env.unwrapped.expert_action())
    assert (reward, ended, info[keys.SUCCESS]) == (1.0, True, True)


def test_a_question_without_a_known_answer_has_no_expert_and_one_of_numbers_lists_a_number():
    env = make("rg:graph_color")
    env.reset(options={"task": "train/00000"})
    with pytest.raises(NoExpertError):
        env.unwrapped.expert_action()
    env = make("rg:prime_factorization")
    _, info = env.reset(options={"task": "train/00000"})
    assert info[keys.ADMISSIBLE_ACTIONS] == ("\\boxed{0}",)
    assert env.step("\\boxed{0}")[-1][keys.ACTION_VALID] is True


def test_a_data_set_is_shared_out_between_the_splits():
    datasets = pytest.importorskip("datasets", reason="needs the extra bench")
    rows = [{"problem": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(9)]
    options = {"dataset": datasets.Dataset.from_list(rows)}
    env = make("qa:HotpotQA", options=options, tasks=3)
    asked = {
        split: {env.reset(options={"task": task})[0] for task in env.unwrapped.tasks(split)}
        for split in env.unwrapped.splits
    }
    assert len(set.union(*asked.values())) == 9
    _, reward, _, _, info = env.step(env.unwrapped.expert_action())
    assert (reward, info[keys.SUCCESS]) == (1.0, True)
    with pytest.raises(BadOptionError, match="tasks=3"):
        make("qa:HotpotQA", options=options, tasks=4).reset(options={"task": "test/00003"})


def test_a_saved_episode_goes_on_elsewhere():
    env, other = make("game:Game2048-v0-easy"), make("game:Game2048-v0-easy")
    env.reset(options={"task": "train/00007"})
    for command in ("\\boxed{up}", "nothing", "\\boxed{left}"):
        env.step(command)
    state = save_state(env)
    expected = [env.step(command) for command in ("\\boxed{up}", "\\boxed{left}")]
    other.reset(seed=1)
    restore_state(other, state)
    assert [other.step(command) for command in ("\\boxed{up}", "\\boxed{left}")] == expected


def test_what_cant_be_played_is_refused():
    with pytest.raises(BadOptionError, match="Did you mean 'game:Sokoban-v0-easy'"):
        make("game:Sokoban-v0-easyy").reset()
    with pytest.raises(UnsupportedGameError, match=r"can't make .* TypeError"):  # a fault of GEM 0.1.0
        make("game:FifteenPuzzle-v0-random").reset()
    with pytest.raises(UnsupportedGameError, match="can't make"):
        make("game:Sokoban-v0-easy", options={"dim_room": "wide"}).reset()
    with pytest.raises(BadOptionError, match=r"has no option 'max_turn': expected some of .* Did you mean 'max_turns'"):
        make("game:Sokoban-v0-easy", options={"max_turn": 3}).reset()
    with pytest.raises(BadOptionError, match="options must be a mapping"):
        make("game:Sokoban-v0-easy", options=7)
    env = make("game:Sokoban-v0-easy")
    env.reset(options={"task": "train/00000"})
    with pytest.raises(NoExpertError):
        env.unwrapped.expert_action()


def test_gem_does_not_change_the_log_of_the_process():
    """Importing GEM sets the root logger to INFO with a handler; the adapter takes that back."""
    assert not [handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler]
