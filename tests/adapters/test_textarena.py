"""TextArena's single-player games, played beside the raw library."""

import random
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys, restore_state, save_state, testing
from agent_gym.errors import BadOptionError, NoExpertError, StateError, UnsupportedGameError

ta = pytest.importorskip("textarena", reason="needs the extra textarena")


def make(game, **settings):
    return gym.make("AgentGym/TextArena-v0", game=game, disable_env_checker=True, **settings)


def play(env, commands, **options):
    frames: list[Any] = [env.reset(options=options)]
    return frames + [env.step(command) for command in commands]


def raw_play(game, seed, commands):
    """What the library itself says and pays, message by message."""
    env = ta.make(game)
    env.reset(num_players=1, seed=seed)
    base = env
    while isinstance(base, ta.Wrapper):
        base = base.env
    base.get_observation()
    said, reward = [], 0.0
    for command in commands:
        ended, _ = env.step(command)
        _, messages = base.get_observation()
        said.append([text.strip() for _, text, kind in messages if kind.name != "PLAYER_ACTION" and text.strip()])
        if ended:
            rewards, _ = env.close()
            reward = rewards[0]
            break
    return said, reward


@pytest.mark.parametrize(
    ("game", "commands"),
    [
        ("2048-v0-ultra-easy", ["[up]", "[left]", "[up]", "[right]", "[down]", "[left]", "[up]", "[left]"]),
        ("Blackjack-v0", ["[Hit]", "[Stand]", "[Stand]", "[Hit]", "[Stand]", "[Stand]", "[Stand]", "[Stand]"]),
        ("Bandit-v0", ["[red]", "[blue]", "[red]", "[green]"]),
        ("TowerOfHanoi-v0", ["[A C]", "[A B]", "[C B]", "[A C]", "[B A]", "[B C]", "[A C]"]),
    ],
)
def test_it_plays_as_the_raw_library_does(game, commands):
    env = make(game)
    seed = env.unwrapped.seed_of("train/00003")
    random.seed(0)
    said, reward = raw_play(game, seed, commands)
    frames = play(env, commands[: len(said)], task="train/00003")[1:]
    for frame, messages in zip(frames, said, strict=True):
        assert frame[0].startswith("\n".join(messages))
    assert sum(frame[1] for frame in frames) == reward


@pytest.mark.parametrize("game", ["2048-v0-3x3", "FrozenLake-v0", "TowerOfHanoi-v0", "LightsOut-v0", "Secretary-v0"])
def test_two_environments_interleaved_give_what_each_gives_alone(game):
    def walk(env, task, others=()):
        rng = np.random.default_rng(0)
        frames: list[Any] = [env.reset(options={"task": task})]
        while len(frames) < 12 and not (len(frames) > 1 and frames[-1][2]):
            commands = frames[-1][-1][keys.ADMISSIBLE_ACTIONS]
            for other in others:
                other.reset(options={"task": "valid/00000"})
            frames.append(env.step(commands[int(rng.integers(len(commands)))]))
        return frames

    alone = walk(make(game), "train/00001")
    random.seed(123)
    np.random.seed(123)
    before = random.getstate(), np.random.get_state(legacy=False)["state"]["key"].tolist()
    assert walk(make(game), "train/00001", [make(game), make("Blackjack-v0")]) == alone
    assert (random.getstate(), np.random.get_state(legacy=False)["state"]["key"].tolist()) == before


def test_a_game_with_chance_and_one_without_keep_the_contract():
    check_text_env_but_the_expert("2048-v0-ultra-easy")
    check_text_env_but_the_expert("TowerOfHanoi-v0")


def check_text_env_but_the_expert(game):
    from agent_gym import testing

    env, rng = make(game), np.random.default_rng(0)
    testing.check_tasks(env.unwrapped)
    commands = testing.check_episode(env, "train/00000", 12, rng)
    testing.check_repeatable(lambda: make(game), "train/00000", commands)
    testing.check_saving(env, make(game), "train/00000", commands, rng)
    testing.check_state_keys(env, "train/00000", 20, rng)
    testing.check_odd_commands(env, "train/00000")


def test_the_hard_variant_has_an_expert_too():
    testing.check_text_env("AgentGym/TextArena-v0", game="GuessTheNumber-v0-hardcore", episodes=1, steps=4)


def test_an_invalid_move_costs_a_step_and_changes_nothing():
    env = make("TowerOfHanoi-v0")
    _, first = env.reset(options={"task": "train/00000"})
    for command in ("[B A]", "sing", "[B A]", ""):  # twice in a row would lose by TextArena's rule
        text, reward, ended, _, info = env.step(command)
        assert "invalid move" in text
        assert (reward, ended, info[keys.ACTION_VALID]) == (0.0, False, False)
        assert info[keys.STATE_KEY] == first[keys.STATE_KEY]
    assert env.step("[A C]")[-1][keys.ACTION_VALID] is True


def test_the_librarys_own_rule_on_invalid_moves_is_there_too():
    env = make("TowerOfHanoi-v0", invalid="library")
    env.reset(options={"task": "train/00000"})
    assert env.step("sing")[2] is False
    text, _, ended, _, info = env.step("sing")
    assert ended
    assert "Invalid Move" in text
    assert (info[keys.ACTION_VALID], info[keys.SUCCESS]) == (False, False)


def test_keys_without_turns_meet_again():
    for key_turns, same in ((True, False), (False, True)):
        frames = play(make("TowerOfHanoi-v0", key_turns=key_turns), ["[A C]", "[C A]"], task="train/00000")
        assert (frames[0][1][keys.STATE_KEY] == frames[2][-1][keys.STATE_KEY]) is same


def test_the_rules_are_the_instructions_and_the_board_is_the_observation():
    env = make("TowerOfHanoi-v0")
    assert "TowerOfHanoi-v0" in env.unwrapped.instructions
    observation, _ = env.reset(options={"task": "train/00000"})
    assert "Tower of Hanoi" in env.unwrapped.instructions
    assert "Tower of Hanoi" not in observation
    assert "[3, 2, 1]" in observation


@pytest.mark.parametrize(
    ("game", "count"),
    [
        ("Countdown-v0", None),
        ("Cryptarithm-v0", None),
        ("LogicPuzzle-v0", None),
        ("Mastermind-v0", 6 * 5 * 4 * 3),  # four of six numbers, each once
        ("PegJump-v0", 2),
        ("RushHour-v0", None),
        ("Slitherlink-v0", 2 * 4 * 5),  # edges of 4 × 4 cells, lying and standing
    ],
)
def test_what_is_listed_is_taken(game, count):
    env, rng = make(game), np.random.default_rng(0)
    _, info = env.reset(options={"task": "train/00000"})
    assert count in (None, len(info[keys.ADMISSIBLE_ACTIONS]))
    commands = testing.check_episode(env, "train/00000", 12, rng)
    testing.check_repeatable(lambda: make(game), "train/00000", commands)
    testing.check_saving(env, make(game), "train/00000", commands, rng)


def test_a_listed_guess_may_be_wrong_and_is_not_listed_again():
    env = make("Mastermind-v0")
    _, info = env.reset(options={"task": "train/00000"})
    first = info[keys.ADMISSIBLE_ACTIONS][0]
    *_, info = env.step(first)
    assert info[keys.ACTION_VALID] is True
    assert first not in info[keys.ADMISSIBLE_ACTIONS]


@pytest.mark.parametrize(
    ("game", "counts"),
    # All cells of 8 × 8; the digits of one cell, of which one is right, and the letters.
    [("Minesweeper-v0", {64}), ("Sudoku-v0", {9}), ("Crosswords-v0", {26})],
)
def test_what_is_listed_does_not_tell_what_is_right(game, counts):
    env = make(game)
    for task in ("train/00000", "train/00001", "test/00000"):
        _, info = env.reset(options={"task": task})
        assert {len(info[keys.ADMISSIBLE_ACTIONS])} == counts
        valid = set()
        for command in info[keys.ADMISSIBLE_ACTIONS][:26]:
            env.reset(options={"task": task})
            valid.add(env.step(command)[-1][keys.ACTION_VALID])
        assert True in valid


def test_where_commands_are_not_known_the_rules_examples_are_listed_with_a_form(monkeypatch):
    monkeypatch.setattr("agent_gym.adapters.textarena.TRIED", {})
    env = make("TowerOfHanoi-v0")
    _, info = env.reset(options={"task": "train/00000"})
    assert info[keys.COMMAND_FORMS] == ("[<your move>]",)
    assert len(info[keys.ADMISSIBLE_ACTIONS]) >= 1
    assert all(f"{command}" in env.unwrapped.instructions for command in info[keys.ADMISSIBLE_ACTIONS])


def test_games_that_mix_up_kind_and_text_of_what_was_said_can_be_played():
    env = make("Countdown-v0")
    env.reset(options={"task": "train/00000"})
    observation, _, _, _, info = env.step("[0 1 +]")
    assert info[keys.ACTION_VALID] is True
    assert "[0 1 +]" not in observation  # what the player said is not told to it


def test_a_saved_episode_goes_on_elsewhere():
    env, other = make("2048-v0-3x3"), make("2048-v0-3x3")
    play(env, ["[up]", "[left]", "nothing", "[right]"], task="train/00007")
    state = save_state(env)
    expected = [env.step(command) for command in ("[up]", "[left]")]
    other.reset(seed=1)
    restore_state(other, state)
    assert [other.step(command) for command in ("[up]", "[left]")] == expected


def test_an_episode_leaves_nothing_behind_for_the_next():
    """TextArena's Minesweeper remembers the first move of the game before."""
    env = make("Minesweeper-v0")
    first = play(env, ["[2 2]", "[5 5]"], task="train/00005")
    assert play(env, ["[2 2]", "[5 5]"], task="train/00005") == first


def test_a_state_that_does_not_come_back_is_refused():
    env = make("2048-v0-3x3")
    play(env, ["[up]"], task="train/00007")
    state = env.unwrapped.get_state()
    state["simulator"] = state["simulator"] | {"digest": "something else"}
    with pytest.raises(StateError, match="did not come back"):
        env.unwrapped.set_state(state)


def test_a_mistake_of_the_library_is_a_refused_step():
    """TextArena turns any row of digits into a number, and Python refuses to do so beyond 4,300 of them."""
    env = make("GuessTheNumber-v0")
    env.reset(options={"task": "train/00000"})
    env.step("[1]")
    text, reward, ended, _, info = env.step(f"[{'9' * 5000}]")
    assert "The game can't take this command: ValueError" in text
    assert (reward, ended, info[keys.ACTION_VALID]) == (0.0, False, False)
    assert "[1]" not in info[keys.ADMISSIBLE_ACTIONS]  # the episode is not lost
    assert env.step("[1]")[-1][keys.ACTION_VALID] is False


def test_an_unknown_game_is_refused_with_the_one_that_may_be_meant():
    with pytest.raises(BadOptionError, match="Did you mean 'FrozenLake-v0'"):
        make("FrozenLak-v0").reset()


@pytest.mark.parametrize("game", ["ConnectFour-v0", "QuantumTicTacToe-v0", "GermanWhist-v0", "PublicGoodsGame-v0"])
def test_games_for_several_are_refused(game):
    with pytest.raises(UnsupportedGameError, match="several players"):
        make(game).reset()


def test_games_that_need_a_server_say_so(monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    with pytest.raises(UnsupportedGameError, match="OPENROUTER_API_KEY"):
        make("TwentyQuestions-v0").reset()


def test_a_game_without_an_expert_says_so():
    env = make("LightsOut-v0")
    env.reset(options={"task": "train/00000"})
    with pytest.raises(NoExpertError, match="LightsOut-v0"):
        env.unwrapped.expert_action()


@pytest.mark.parametrize("settings", [{"invalid": "lenient"}, {"key_turns": 1}, {"tasks": 0}, {"gmae": "x"}])
def test_bad_settings_are_refused(settings):
    with pytest.raises(BadOptionError):
        gym.make("AgentGym/TextArena-v0", **settings)
