"""Goals that can't be read are refused when the game is, not in the middle of an episode."""

import pytest

from agent_gym.envs.alfworld.goal import parse_goal
from agent_gym.envs.alfworld.pddl import parse_sexpr
from agent_gym.errors import GameFileError, UnsupportedGameError

TYPES = {"agent1": "agent", "apple_1": "object", "fridge_1": "receptacle", "appletype": "otype"}


@pytest.mark.parametrize(
    ("goal", "error", "message"),
    [
        ("(holds apple_1)", GameFileError, "holds"),
        ("(exists (?o - receptacle) (holds agent1 ?o))", GameFileError, "receptacle"),
        ("(holds agent1 ?o)", GameFileError, "quantifier"),
        ("(holds agent1 pear_1)", GameFileError, "pear_1"),
        ("(holds agent1 (apple_1))", GameFileError, "names of things"),
        ("()", GameFileError, "formula"),
        ("(exists (?o - object))", UnsupportedGameError, "exists"),
        ("(not)", UnsupportedGameError, "not"),
        ("(exists (?o ?p - object) (and (holds agent1 ?o) (not (= ?o ?p))))", UnsupportedGameError, "another"),
    ],
)
def test_a_goal_that_makes_no_sense_is_an_error(goal, error, message):
    with pytest.raises(error, match=message):
        parse_goal(parse_sexpr(goal, "goal"), TYPES)
