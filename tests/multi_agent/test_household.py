"""The household of a team: the contract, the order of robots, what ends it, and that two are faster than one."""

import pickle

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test

from agent_gym import keys
from agent_gym.errors import BadOptionError, EpisodeError
from agent_gym.ltl.task import Task
from agent_gym.multi_agent import household_v0
from agent_gym.multi_agent.household_facts import Facts, read_proposition
from agent_gym.multi_agent.household_model import read_briefing, spec_of
from agent_gym.multi_agent.household_search import shortest_plan
from agent_gym.multi_agent.household_tasks import load_task
from agent_gym.multi_agent.testing import check_multi_agent_env
from trainers.bench.study import load_study

TWO_THINGS = "train/robots-2/depth-1/0028"
ORDERED = "train/robots-2/depth-1/0037"


def team(robots=2, **settings):
    env = household_v0.parallel_env(robots=robots, **settings)
    env.reset(seed=0, options={"task": settings.get("task", TWO_THINGS)})
    return env


def play(env, *joint_steps):
    for commands in joint_steps:
        step = env.step(dict(zip(env.possible_agents, commands, strict=True)))
    return step


def joint_steps(game, task):
    game.reset(seed=0, options={"task": task})
    turns = 0
    while game.turn is not None:
        game.step(game.expert_action())
        turns += 1
    assert game.infos["robot_0"][keys.SUCCESS]
    return turns // len(game.possible_agents)


@pytest.mark.parametrize(("robots", "key"), [(2, "team"), (3, "team"), (2, "own")])
def test_contract(robots, key):
    check_multi_agent_env(lambda: household_v0.env(robots=robots, steps=40, key=key), episodes=2)


def test_parallel():
    parallel_api_test(household_v0.parallel_env(), num_cycles=80)


def test_a_step_that_is_not_for_all_moves_none():
    env = team()
    before = env.unwrapped.get_state()
    with pytest.raises(EpisodeError, match=r"got none for robot_1: give one that is to do nothing 'wait'\."):
        env.step({"robot_0": "look"})
    assert env.unwrapped.get_state() == before
    observations, *_ = env.step({"robot_0": "look", "robot_1": "wait"})
    assert observations.keys() == {"robot_0", "robot_1"}


def test_a_step_needs_an_episode():
    env = household_v0.parallel_env()
    with pytest.raises(EpisodeError, match=r"call reset\(\) to start an episode"):
        env.step({"robot_0": "look", "robot_1": "wait"})
    env = team()
    while env.agents:
        env.step({agent: env.unwrapped.expert_action(agent) for agent in env.agents})
    with pytest.raises(EpisodeError, match=r"call reset\(\) to start an episode"):
        env.step({})


def test_all_act_at_once_and_are_paid_alike():
    env = team(cost=0.125)
    game = env.unwrapped
    assert game.infos["robot_0"]["progress"] == 0.0
    rewards = {}
    while env.agents:
        commands = {agent: game.expert_action(agent) for agent in env.agents}
        _, rewards, terminations, _, infos = env.step(commands)
    assert set(terminations.values()) == {True}
    # The last step puts both things down: 1 for the team, less the cost of each robot's own command.
    assert rewards == {agent: 1.0 - 0.125 * (commands[agent] != "wait") for agent in commands}
    assert infos["robot_1"][keys.SCORE] == infos["robot_1"]["progress"] == 1.0
    assert infos["robot_0"][keys.SUBGOALS] == ("in(book 1, bed 1)", "in(pencil 1, desk 1)")


def test_the_expert_of_a_robot_that_has_spoken_is_not_asked():
    game = household_v0.raw_env()
    game.reset(seed=0, options={"task": TWO_THINGS})
    second = game.expert_action("robot_1")
    game.step("wait")
    assert game.expert_action("robot_1") == second  # what robot_0 does is not seen before the step is over
    with pytest.raises(EpisodeError, match="turn it is, robot_1, got robot_0"):
        game.expert_action("robot_0")
    with pytest.raises(EpisodeError, match="turn it is, robot_1, got robot_2"):
        game.expert_action("robot_2")


def test_a_robot_that_comes_too_late_finds_nothing():
    env = team()
    where = env.unwrapped.house.facts().where["pencil 1"]
    observations, *_ = play(env, [f"go to {where}"] * 2, [f"take pencil 1 from {where}"] * 2)
    assert observations["robot_0"]["text"] == f"You pick up the pencil 1 from the {where}."
    assert observations["robot_1"]["text"] == f"Nothing happens.\nrobot_0: take pencil 1 from {where}"
    # It was possible when it was said.
    assert env.unwrapped.infos["robot_1"][keys.ACTION_VALID]
    assert "put pencil 1 in/on desk 1" not in env.unwrapped.infos["robot_0"][keys.ADMISSIBLE_ACTIONS]
    *_, infos = play(env, ["go to desk 1", "fly"])
    assert not infos["robot_1"][keys.ACTION_VALID]
    assert "put pencil 1 in/on desk 1" in infos["robot_0"][keys.ADMISSIBLE_ACTIONS]


def test_a_broken_order_ends_the_episode_and_pays_nothing():
    env = household_v0.parallel_env()
    env.reset(options={"task": ORDERED})
    # F cool(lettuce) && F in(lettuce, fridge) && (!in(lettuce, fridge) U cool(lettuce)) …: in the fridge
    # before it was cooled.
    where = env.unwrapped.house.facts().where["lettuce 1"]
    opened = [[f"open {where}", "wait"]] if "closed" in _line(env, where) else []
    play(env, [f"go to {where}", "go to fridge 1"], *opened, [f"take lettuce 1 from {where}", "open fridge 1"])
    observations, rewards, terminations, _, infos = play(
        env, ["go to fridge 1", "wait"], ["put lettuce 1 in/on fridge 1", "wait"]
    )
    assert observations["robot_1"]["text"].endswith("The task can't be done any more.")
    assert (set(rewards.values()), set(terminations.values())) == ({0.0}, {True})
    assert (infos["robot_0"]["progress"], infos["robot_0"][keys.SCORE]) == (-1.0, 0.0)


def _line(env, place):
    return next(line for line in env.unwrapped.house.furniture() if line.startswith(f"{place} ") or f"{place}:" in line)


def test_the_limit_counts_joint_steps():
    env = household_v0.parallel_env(steps=3)
    env.reset(options={"task": TWO_THINGS})
    assert set(play(env, ["wait"] * 2, ["wait"] * 2)[3].values()) == {False}
    _, rewards, terminations, truncations, _ = play(env, ["wait"] * 2)
    assert set(truncations.values()) == {True}
    assert set(terminations.values()) == {False}
    assert set(rewards.values()) == {0.0}


def test_an_own_key_leaves_out_the_others_and_what_the_task_does_not_need():
    def key(*steps):
        env = team(key="own")
        return play(env, ["wait", "look"], *steps)[4]["robot_0"][keys.STATE_KEY]

    start, pencil = key(), [["wait", "go to garbagecan 1"], ["wait", "take pencil 1 from garbagecan 1"]]
    assert start == key(["look", "go to bed 1"]) == key(["wait", "go to shelf 1"], ["wait", "take bowl 1 from shelf 1"])
    elsewhere = key(["go to shelf 1", "wait"])
    assert elsewhere != start
    # On the shelf stands the bowl: without it a robot that is there can do less, so it is another key.
    assert elsewhere != key(["go to shelf 1", "go to shelf 1"], ["wait", "take bowl 1 from shelf 1"])
    taken = key(*pencil)
    assert taken != start
    assert key(*pencil, ["wait", "go to desk 1"]) == taken
    assert key(*pencil, ["wait", "go to desk 1"], ["wait", "put pencil 1 in/on desk 1"]) not in (start, taken)


def test_no_single_robot_is_as_fast_as_the_best_team_in_the_tasks_of_the_study(root):
    study = load_study(root / "benchmarks" / "studies" / "games.toml")
    for arena, robots, fewest in (("household-one", 1, 6), ("household-two", 2, 4)):
        tasks = study.arenas[arena].config.rollout.only
        assert [task[-4:] for task in tasks] == ["0057", "0294", "0304"]
        for task in tasks:
            game = household_v0.raw_env(robots=robots)
            game.reset(options={"task": task})
            briefing = read_briefing(game.observe("robot_0")["text"])
            plan = shortest_plan(briefing, briefing.model.copy(), spec_of(briefing))
            assert plan is not None
            assert len(plan) == fewest


def test_keys_name_the_state_of_the_team():
    def key(*steps):
        env = team()
        return play(env, ["wait", "look"], *steps)[4]["robot_0"][keys.STATE_KEY]

    # Looking and waiting change nothing; walking in another order leads to the same.
    assert key() == key(["wait", "wait"])
    assert key(["go to desk 1", "wait"], ["wait", "go to bed 1"]) == key(["go to desk 1", "go to bed 1"])
    # Where the other is matters.
    assert key(["go to desk 1", "wait"]) != key(["go to desk 1", "go to desk 1"])


def test_tasks_are_generated_alike_and_have_their_depth():
    for robots, depth in ((2, 1), (3, 2), (4, 3)):
        for number in range(5):
            about = load_task(f"valid/robots-{robots}/depth-{depth}/{number:04}")
            task = Task(about.levels)
            assert len(about.levels) == depth
            assert 2 <= len(task.propositions) <= 10
            assert task.verdict == "undecided"
    assert load_task.__wrapped__(TWO_THINGS).levels == load_task(TWO_THINGS).levels


@pytest.mark.parametrize("split", ["test", "train", "valid"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_experts_solve_tasks_and_two_are_faster_than_one(split, depth):
    needed: dict[int, list[int]] = {1: [], 2: []}
    for number in range(4):
        for robots in needed:
            game = household_v0.raw_env(robots=robots, depth=depth)
            needed[robots].append(joint_steps(game, f"{split}/robots-{robots}/depth-{depth}/{number:04}"))
    assert sum(needed[2]) < sum(needed[1])


def test_propositions():
    facts = Facts({"egg 1": "fridge 1", "egg 2": "fridge 1", "pot 1": "fridge 2"}, frozenset([("hot", "egg 12")]))

    def true(text):
        return read_proposition(text).holds(facts)

    assert true("in(egg 2, fridge 1)")
    assert true("2 in(egg, fridge 1)")
    assert true("3 in(egg, fridge)") is False
    assert true("in(pot, fridge)")
    assert true("hot(egg)")
    assert not true("hot(egg 1)")
    for text in ("in(egg 1)", "hot(egg 1, fridge 1)", "near(egg 1)", "egg"):
        with pytest.raises(BadOptionError, match="proposition"):
            read_proposition(text)


def test_random_teams_and_saved_games():
    game = household_v0.raw_env(robots=3, steps=15)
    rng = np.random.default_rng(1)
    game.reset(seed=1)
    while game.turn is not None:
        choices = game.infos[game.turn][keys.ADMISSIBLE_ACTIONS]
        state = pickle.loads(pickle.dumps(game.get_state()))
        infos = dict(game.infos)
        game.set_state(state)
        assert game.infos == infos
        game.step(choices[int(rng.integers(len(choices)))])


def test_settings_that_mean_nothing_are_refused():
    for settings in ({"robots": 0}, {"robots": 5}, {"depth": 4}, {"cost": -1.0}, {"steps": 0}, {"cost": True}):
        with pytest.raises(BadOptionError):
            household_v0.env(**settings)
