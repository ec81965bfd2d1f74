import json
from collections import deque

import numpy as np
import pytest

from agent_gym.envs.alfworld.engine import Simulator
from agent_gym.envs.alfworld.expert import AlfworldExpert
from agent_gym.envs.alfworld.generator import generate_game
from agent_gym.envs.alfworld.generator_difficulty import Difficulty
from agent_gym.envs.alfworld.oracle import plan
from agent_gym.envs.alfworld.problem import parse_game
from agent_gym.errors import EpisodeError, UnsupportedGameError


def replay(sim: Simulator, commands: list[str]) -> bool:
    """Whether the commands win; each but the last must leave the game open."""
    for command in commands:
        assert not sim.won
        _, valid = sim.step(command)
        assert valid, command
    return sim.won


def expert_length(sim: Simulator) -> int:
    """The number of steps that the expert takes from the start, at most 51."""
    expert = AlfworldExpert()
    expert.observe(None, sim.reset())
    for step in range(1, 51):
        command = expert.act()
        expert.observe(command, sim.step(command)[0])
        if sim.won:
            return step
    return 51


@pytest.mark.parametrize("split", ["valid_seen", "valid_train", "train"])
def test_plans_win_every_published_game_and_are_never_longer_than_the_experts_way(alfworld_data, split):
    for path in sorted((alfworld_data / "json_2.1.1" / split).glob("*/*/game.tw-pddl")):
        sim = Simulator(parse_game(json.loads(path.read_text(encoding="utf-8")), str(path)))
        commands = plan(sim)
        assert replay(sim, commands), path
        assert plan(sim) == []  # won already
        assert len(commands) <= expert_length(sim)


@pytest.mark.parametrize("wording", ["put", "move"])
def test_plans_are_as_short_as_the_generators_own(wording):
    for index in range(150):
        game = parse_game(generate_game("generated_valid", index, wording=wording))
        sim = Simulator(game)
        commands = plan(sim)
        assert replay(sim, commands)
        assert game.walkthrough is not None
        assert len(commands) == len(game.walkthrough)


def test_no_shorter_way_exists():
    # Breadth-first search over everything that can be done, in small rooms, from the start and from the middle: its
    # first win is the shortest.
    random = np.random.default_rng(11)
    for index in range(60):
        small = Difficulty(max_receptacles=4, max_objects=3)
        sim = Simulator(parse_game(generate_game("generated_train", index, difficulty=small)))
        length = len(plan(sim))
        assert shortest(sim, length) == length
        sim.reset()
        for _ in range(12):
            if not sim.won:
                sim.step(sim.admissible()[int(random.integers(len(sim.admissible())))])
        length = len(plan(sim))
        assert shortest(sim, length) == length


def shortest(sim: Simulator, limit: int) -> int:
    """The length of the shortest win, by trying every command from every state; `limit` + 1 if there is none."""
    if sim.won:
        return 0
    queue = deque([(0, sim.get_state())])
    seen = {sim.state_key()}
    while queue:
        depth, state = queue.popleft()
        if depth == limit:
            break
        sim.set_state(state)
        for command in sim.admissible():
            sim.set_state(state)
            sim.step(command)
            if sim.won:
                return depth + 1
            if sim.state_key() not in seen:
                seen.add(sim.state_key())
                queue.append((depth + 1, sim.get_state()))
    return limit + 1


def test_it_plans_from_the_middle_of_a_game_with_full_hands():
    for index in range(60):
        sim = Simulator(parse_game(generate_game("generated_valid", index)))
        commands = plan(sim)
        taking = next((command for command in commands if command.startswith("take ")), "")
        replay(sim, commands[: commands.index(taking)])
        # Take something else that lies there, if the oracle would have taken one thing of several.
        others = [command for command in sim.admissible() if command.startswith("take ") and command != taking]
        sim.step(others[0] if others else taking)
        held = sim.held
        assert held is not None
        if not any(sim.game.may_hold(receptacle, held) for receptacle in sim.game.receptacles):
            with pytest.raises(EpisodeError, match="dead end"):
                plan(sim)
        elif not sim.won:
            assert replay(sim, plan(sim))


def test_a_plan_leaves_the_simulator_as_it_is():
    sim = Simulator(parse_game(generate_game("generated_valid", 5)))
    before = sim.state_key(), sim.admissible()
    plan(sim)
    assert (sim.state_key(), sim.admissible()) == before


def test_other_goals_are_refused():
    data = generate_game("generated_valid", 0)
    head, _ = data["pddl_problem"].split("(:goal", 1)
    held = "(:goal (exists (?a - agent ?o - object) (holds ?a ?o))))"
    with pytest.raises(UnsupportedGameError, match="six task types"):
        plan(Simulator(parse_game({**data, "pddl_problem": head + held})))
