"""What is said of the environments in one place is true, and the pages made of it are up to date."""

import functools
import re
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.wrappers import TimeLimit

import agent_gym  # noqa: F401  registers the ids
from agent_gym.errors import BadOptionError, MissingExtraError, UnknownSplitError
from agent_gym.multi_agent.games import game_names, is_game, load_game
from agent_gym.registration import IDS
from agent_gym.suite import ENVIRONMENTS, GAMES, about, settings_of
from agent_gym.suite_figures import all_figures, figures_of
from tools.write_environments import PAGE, README, page, updated

NAMES = (*ENVIRONMENTS, *GAMES)
UP_TO_DATE = "python -m tools.write_environments brings docs/environments.md and the README up to date"


def made(name):
    """The environment or game, unwrapped, and its limit on steps; skips what needs an extra that is not here."""
    if is_game(name):
        game = load_game(name).raw_env()
        return game, game.max_turns
    try:
        env = gym.make(name, disable_env_checker=True)
        env.reset(seed=0)
    except MissingExtraError as error:
        pytest.skip(str(error))
    limits, wrapped = [getattr(env.unwrapped, "horizon", 10**9)], env
    while isinstance(wrapped, gym.Wrapper):
        limits += [wrapped._max_episode_steps] if isinstance(wrapped, TimeLimit) else []
        wrapped = wrapped.env
    return env.unwrapped, min(limits)


def test_every_id_and_every_game_is_there_once():
    assert list(ENVIRONMENTS) == list(IDS)
    assert list(GAMES) == game_names()
    assert {*all_figures()} <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_is_so(name):
    env, limit = made(name)
    told = about(name)
    assert {*told.splits, *told.published} == {*env.splits}
    assert told.horizon.split()[0] == ("none:" if limit is None else str(limit))
    figures = figures_of(name)
    if figures is not None:
        assert figures.split == told.splits[-1]
        assert figures.tasks == {split: len(env.tasks(split)) for split in told.splits}


@pytest.mark.parametrize("name", NAMES)
def test_the_page_that_is_named_has_the_heading(name, root):
    file, _, anchor = about(name).page.partition("#")
    text = (root / "docs" / file).read_text(encoding="utf-8")
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    assert not anchor or anchor in headings
    assert name in text


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_explained(name):
    section = page().partition(f"\n### {name}\n")[2].partition("\n### ")[0]
    explained = dict(re.findall(r"^\| `(\w+)` \| `.*?` \| (.*) \|$", section, re.MULTILINE))
    assert list(explained) == list(settings_of(name))
    assert all(explained.values())


@pytest.mark.parametrize("name", NAMES)
def test_no_setting_takes_a_list_and_each_says_so(name):
    make: Any = load_game(name).env if is_game(name) else functools.partial(gym.make, name)
    for setting in (*settings_of(name), "split"):
        with pytest.raises((BadOptionError, UnknownSplitError), match=r"\['a list'\]"):
            make(**{setting: ["a list"]})


def test_the_pages_are_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), UP_TO_DATE
    readme = README.read_text(encoding="utf-8")
    assert readme == updated(readme), UP_TO_DATE


def test_a_kind_of_split_has_a_name_in_each():
    assert about("AgentGym/ALFWorld-v0").split_like("train") == "generated_train"  # not the published one
    assert about("AgentGym/ALFWorld-v0").split_like("valid_seen") == "valid_seen"
    assert about("AgentGym/Rooms-v0").split_like("valid") == "valid"
    assert about("AgentGym/Rooms-v0").split_like("valid_seen") is None
