import dataclasses

import pytest

from agent_gym.envs.webshop.env import WebshopEnv
from agent_gym.envs.webshop.oracle import plan
from tests.envs.webshop.small_shop import CHAIR, GOAL, LAMP, SmallShop, make_product, visit_of

for package in ("Stemmer", "bm25s", "filelock", "platformdirs", "rapidfuzz"):
    pytest.importorskip(package, reason="needs the extra webshop")


def test_a_plan_is_a_search_a_click_the_options_and_the_purchase():
    commands = plan(SmallShop(LAMP, CHAIR), GOAL)
    assert commands == ["search[Desk Lamp]", "click[b000000001]", "click[blue]", "click[buy now]"]
    visit = visit_of()
    assert all(visit.act(command) for command in commands)
    assert visit.place.score is not None
    assert visit.place.score.total == 1.0


def test_a_product_on_a_later_page():
    """Twelve lamps come before the wanted one, which is the 13th and stands on the second page, as for every query."""
    others = [make_product(f"C{number:09d}", title="Desk Lamp") for number in range(12)]
    commands = plan(SmallShop(*others, LAMP), GOAL)
    assert commands is not None
    assert commands[:3] == ["search[Desk Lamp]", "click[next >]", "click[b000000001]"]
    numbered = plan(SmallShop(*others, LAMP), GOAL, numbered=True)
    assert numbered == [*commands[:2], "click[item 13]", *commands[3:]]


def test_values_that_are_worded_as_wanted_come_first():
    lamp = dataclasses.replace(LAMP, options={"color": ("dark blue", "blue")})
    # Both stand for the colour "dark" and "blue"; only the second is what was asked for.
    assert "click[blue]" in (plan(SmallShop(lamp), GOAL) or ())


def test_nothing_is_chosen_where_nothing_is_wanted():
    goal = dataclasses.replace(GOAL, options=(), option_names=())
    assert plan(SmallShop(LAMP), goal) == ["search[Desk Lamp]", "click[b000000001]", "click[buy now]"]


@pytest.mark.parametrize(
    "change",
    [
        {"options": ("green",)},  # no such value
        {"options": ("red", "blue"), "option_names": ("color", "color")},  # two values of one option
        {"attributes": ("waterproof",)},
        {"price_limit": 9.0},  # it costs 9.50
    ],
)
def test_goals_that_the_product_cannot_meet(change):
    assert plan(SmallShop(LAMP), dataclasses.replace(GOAL, **change)) is None


def test_a_product_that_no_words_find():
    nameless = dataclasses.replace(LAMP, title="", description="")
    goal = dataclasses.replace(GOAL, instruction="")
    assert plan(SmallShop(nameless, CHAIR), goal) is None


def test_every_generated_goal_can_be_reached_in_time():
    env = WebshopEnv(split="generated_train", products=300)
    for split in ("generated_train", "generated_valid", "generated_test"):
        stock = env.stock(split)
        for task in stock.goals.tasks(split)[::24]:
            goal = stock.goals.goal(task)
            commands = plan(stock.catalogue, goal)
            assert commands is not None, goal
            assert len(commands) <= 15
            env.reset(options={"task": task})
            for command in commands:
                *_, terminated, _, info = env.step(command)
                assert info["action_valid"], command
            assert terminated
            assert info["score"] == 1.0
