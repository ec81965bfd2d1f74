import pickle
from typing import Any

import gymnasium as gym
import pytest

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys
from agent_gym.envs.webshop.env import WebshopEnv
from agent_gym.envs.webshop.oracle import plan
from agent_gym.errors import (
    BadOptionError,
    DataNotFoundError,
    MissingExtraError,
    StateError,
    UnknownSplitError,
    UnknownTaskError,
)
from agent_gym.testing import check_text_env

for package in ("Stemmer", "bm25s", "filelock", "platformdirs", "rapidfuzz"):
    pytest.importorskip(package, reason="needs the extra webshop")

SHOP = "AgentGym/WebShop-v0"
SMALL = 60
"""Products of a catalogue that is made in no time."""


def make(**settings) -> WebshopEnv:
    return WebshopEnv(**{"products": SMALL} | settings)


def buy_what_is_wanted(env: WebshopEnv) -> list[str]:
    """Commands from the search bar to the purchase of the goal's product, by whoever knows the goal."""
    goal, catalogue = env.visit.goal, env.visit.pages.catalogue
    position = catalogue.position(goal.asin)
    assert position is not None
    product = catalogue.product(position)
    page = catalogue.search(" ".join(product.title.lower().split())).index(position) // 10
    commands = [f"search[{product.title}]", *["click[next >]"] * page, f"click[{goal.asin}]"]
    return [*commands, *(f"click[{value}]" for value in goal.options), "click[buy now]"]


def test_first_frame():
    env = make()
    observation, info = env.reset(seed=5)
    instruction = env.visit.goal.instruction
    assert observation == f"WebShop [SEP] Instruction: [SEP] {instruction} [SEP] Search"
    assert info["available_actions"] == {"has_search_bar": True, "clickables": ("search",)}
    assert info[keys.COMMAND_FORMS] == ("search[<your query>]",)
    [command] = info[keys.ADMISSIBLE_ACTIONS]
    assert command.startswith("search[")
    assert "price lower" not in command
    assert (info[keys.SPLIT], info[keys.SOURCE], info[keys.SCORE]) == ("generated_train", "generated", 0.0)
    assert info[keys.TASK].startswith(f"generated/{SMALL}-0/train/")


def test_forms_and_commands_of_a_page_without_search_bar_are_the_same():
    env = make()
    env.reset(seed=5)
    *_, info = env.step("search[lamp shoes shirt]")
    assert info["available_actions"]["has_search_bar"] is False
    # The forms are in the order of the page, so that the best result comes first.
    assert info[keys.COMMAND_FORMS] == tuple(f"click[{text}]" for text in info["available_actions"]["clickables"])
    assert info[keys.ADMISSIBLE_ACTIONS] == tuple(sorted(info[keys.COMMAND_FORMS]))


def test_a_purchase_ends_the_episode_with_its_score():
    env = make()
    env.reset(seed=5)
    commands = buy_what_is_wanted(env)
    for command in commands[:-1]:
        _, reward, terminated, truncated, info = env.step(command)
        assert (reward, terminated, truncated, info[keys.ACTION_VALID]) == (0.0, False, False, True)
        assert "score_parts" not in info
    observation, reward, terminated, _, info = env.step(commands[-1])
    assert (reward, terminated, info[keys.SCORE], info[keys.SUCCESS], info["won"]) == (1.0, True, 1.0, True, True)
    assert info["score_parts"]["price_ok"] is True
    assert info["score_parts"]["total"] == 1.0
    assert info[keys.ADMISSIBLE_ACTIONS] == ()
    assert observation.endswith("[SEP] 1.0 [SEP] Reward Details [SEP] None")


def test_rewards():
    """Without its options the right product has some score, which is no success."""
    rewards = {}
    for kind in ("score", "success"):
        env = make(reward=kind)
        env.reset(seed=5)
        assert env.visit.goal.options
        commands = [command for command in buy_what_is_wanted(env) if command[6:-1] not in env.visit.goal.options]
        for command in commands:
            _, rewards[kind], _, _, info = env.step(command)
        assert 0 < info[keys.SCORE] < 1
    assert rewards == {"score": info[keys.SCORE], "success": 0.0}


def test_the_goal_is_told_in_words_only():
    """Neither the product looked for nor what it must have stands in an observation, or in info before the end."""
    for form in ("text", "readable"):
        env = make(observation=form)
        observation, info = env.reset(seed=5)
        goal = env.visit.goal
        hidden = [goal.asin, goal.asin.lower(), str(goal.attributes)]
        for command in ("search[zzzz]", "click[next >]", "click[back to search]"):
            text = repr((observation, info))
            assert not [secret for secret in hidden if secret in text]
            observation, *_, info = env.step(command)


def test_readable_pages():
    env = make(observation="readable")
    observation, _ = env.reset(seed=5)
    instruction = f"Instruction: {env.visit.goal.instruction}"
    assert observation == f"{instruction}\n\nThe search bar is empty."
    *shopping, buy = buy_what_is_wanted(env)
    seen = [env.step(command)[0] for command in shopping]
    product = env.visit.item.product
    price = product.price_text
    assert f"\n[{product.asin}] {price}: {product.title}" in seen[-2 - len(env.visit.goal.options)]
    assert seen[0].splitlines()[2].startswith("Results 1 to 10 of ")
    lines = seen[-1].splitlines()
    assert lines[:6] == [instruction, "", "[Back to Search] [< Prev]", product.title, f"Price: {price}", "Rating: N.A."]
    assert lines[-1] == "[Description] [Features] [Reviews] [Buy Now]"
    for name, value in env.visit.place.options:
        assert f"{name} (chosen: {value}): [" in seen[-1]
    assert env.step(buy)[0].endswith("\nYour score (0 to 1): 1.0")


def test_product_names():
    """Called by its place, a product is the same product: the pages behind the click and the score are the same."""
    envs = make(), make(product_names="place")
    for env in envs:
        env.reset(seed=5)
    visit = envs[0].visit
    plans = [plan(visit.pages.catalogue, visit.goal, numbered=numbered) or [] for numbered in (False, True)]
    shown = [[env.step(command) for command in commands] for env, commands in zip(envs, plans, strict=True)]
    at = next(number for number, command in enumerate(plans[0]) if command.startswith("click[b0"))
    assert plans[1][at].startswith("click[item ")
    assert shown[0][at:] == shown[1][at:]
    assert shown[0][-1][1] == 1.0
    assert "click[b0" not in repr(shown[1][at - 1])
    assert "Item 1" in shown[1][at - 1][0]
    assert ["code" in env.instructions for env in envs] == [True, False]


def test_readable_pages_cut_what_is_too_long():
    env = make(observation="readable")
    env.reset(seed=5)
    observation, *_ = env.step(f"search[{'x' * 100_000}]")
    assert len(observation) < 1_000
    assert f'Nothing was found for "{"x" * 200}…", page 1' in observation


@pytest.mark.parametrize("command", ["search[[a] [b]]", "search[" + "shoe " * 20_000 + "]", "search[%s {0} \\]"])
def test_odd_queries(command):
    env = make()
    env.reset(seed=5)
    *_, info = env.step(command)
    assert info[keys.ACTION_VALID] is True
    assert len(info[keys.STATE_KEY]) < 150


def test_a_commands_case_does_not_matter_but_its_verb_does():
    env = make()
    env.reset(seed=5)
    assert env.step("Search[shoes]")[4][keys.ACTION_VALID] is False
    assert env.step("search[SHOES]")[4][keys.ACTION_VALID] is True
    assert env.step("click[Back to Search]")[4][keys.ACTION_VALID] is True


def test_search_anywhere():
    env = make(search_anywhere=True)
    env.reset(seed=5)
    *_, info = env.step("search[shoes]")
    assert info["available_actions"]["has_search_bar"] is False
    assert "search[<your query>]" in info[keys.COMMAND_FORMS]
    *_, info = env.step("search[lamp]")
    assert info[keys.ACTION_VALID] is True
    plain = make()
    assert "works on every page" in env.instructions
    assert "works where there is a search bar" in plain.instructions
    plain.reset(seed=5)
    plain.step("search[shoes]")
    assert plain.step("search[lamp]")[4][keys.ACTION_VALID] is False


def test_an_episode_goes_on_elsewhere_and_after_its_end():
    one, other = make(), make()
    one.reset(seed=5)
    *commands, last = buy_what_is_wanted(one)
    for command in commands:
        one.step(command)
    state = pickle.loads(pickle.dumps(one.get_state()))
    bought = one.step(last)
    over = one.get_state()
    other.reset(seed=6)
    other.set_state(state)
    assert other.step(last) == bought
    one.set_state(state)
    assert one.step(last) == bought
    other.reset(seed=6)
    other.set_state(over)
    assert other.visit.key() == bought[4][keys.STATE_KEY]


def test_environments_share_their_shop():
    envs = [make() for _ in range(3)]
    for env in envs:
        env.reset(seed=1)
    assert len({id(env.visit.pages) for env in envs}) == 1
    assert envs[0].stock("generated_train") is envs[1].stock("generated_test")


def test_render():
    env = make(render_mode="html")
    assert env.render() is None
    env.reset(seed=5)
    assert str(env.render()).startswith("<!doctype html>")
    ansi = make(render_mode="ansi")
    ansi.reset(seed=5)
    ansi.step("look")
    assert str(ansi.render()).startswith("> look\nWebShop [SEP] ")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"split": "valid_seen"}, UnknownSplitError, "'valid'"),
        ({"data": 3}, BadOptionError, "data must be the path of a file or directory, got 3"),
        ({"observation": "txt"}, BadOptionError, "observation must be one of .* Did you mean 'text'"),
        ({"reward": "sucess"}, BadOptionError, "Did you mean 'success'"),
        ({"goals": "humans"}, BadOptionError, "Did you mean 'human'"),
        ({"nouns": "spacey"}, BadOptionError, "Did you mean 'spacy'"),
        ({"products": 0}, BadOptionError, "products must be a whole number from 1"),
        ({"products": 10**9}, BadOptionError, "products must be a whole number from 1 to 5000000, got 1000000000"),
        ({"products": "1000"}, BadOptionError, "products must be a whole number"),
        ({"catalogue_seed": -1}, BadOptionError, "catalogue_seed must be a whole number from 0"),
        ({"product_names": "number"}, BadOptionError, "product_names must be one of .* got 'number'"),
        ({"search_anywhere": "no"}, BadOptionError, "search_anywhere must be True or False"),
        ({"render_mode": "human"}, BadOptionError, "render_mode must be one of"),
        ({"produkts": 3}, BadOptionError, "Did you mean 'products'"),
        ({"data": "/no/such/directory"}, DataNotFoundError, "data must be a directory with items_shuffle_1000.json"),
    ],
)
def test_settings_that_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        make(**settings)


def test_published_splits_without_data(monkeypatch):
    monkeypatch.delenv("WEBSHOP_DATA", raising=False)
    env = make(split="train")
    with pytest.raises(DataNotFoundError, match="WEBSHOP_DATA, or play a split of"):
        env.reset()
    monkeypatch.setenv("WEBSHOP_DATA", "/no/such/directory")
    with pytest.raises(DataNotFoundError, match="WEBSHOP_DATA must be a directory"):
        env.tasks("test")
    with pytest.raises(DataNotFoundError):
        env.reset(options={"task": "published/1000/000000"})


@pytest.mark.parametrize(
    "task", ["x", "", "generated/60-0/train/999999", "generated/61-0/train/000000", "generated/60-0/test", "train/0"]
)
def test_tasks_that_there_are_not(task):
    with pytest.raises(UnknownTaskError):
        make().reset(options={"task": task})


def test_there_is_no_customer_before_the_first_reset():
    with pytest.raises(StateError, match="call reset"):
        _ = make().visit


def test_a_task_is_found_from_any_split():
    env = make(split="generated_test")
    for split in ("generated_train", "generated_valid", "generated_test"):
        task = env.tasks(split)[0]
        assert env.reset(options={"task": task})[1][keys.SPLIT] == split


def test_contract_with_readable_pages():
    settings: dict[str, Any] = {
        "observation": "readable",
        "reward": "success",
        "search_anywhere": True,
        "product_names": "place",
    }
    check_text_env(SHOP, products=SMALL, episodes=2, **settings)


def test_contract_on_published_products(webshop_data):
    check_text_env(SHOP, data=webshop_data, split="train", episodes=2)


def test_human_goals(webshop_data):
    env = WebshopEnv(data=webshop_data, split="test", goals="human")
    tasks = env.tasks("test")
    assert len(tasks) == 13  # of these 1,000 products people described 13
    observation, info = env.reset(options={"task": tasks[0]})
    assert info[keys.SOURCE] == "published"
    assert env.visit.goal.instruction in observation


def test_the_visit_of_the_documentation(root):
    page = (root / "docs" / "webshop.md").read_text(encoding="utf-8")
    shown = page.split("```text\n")[1].split("\n```")[0]
    env = make(observation="readable")
    played = [env.reset(options={"task": "generated/60-0/test/000014"})[0]]
    for command in [line[2:] for line in shown.splitlines() if line.startswith("> ")]:
        played.append(f"> {command}\n{env.step(command)[0]}")
    assert shown == "\n\n".join(played)


def test_limit_of_steps():
    env = gym.make(SHOP, products=SMALL)
    env.reset(seed=0)
    ends = [env.step("look")[3] for _ in range(15)]
    assert ends == [False] * 14 + [True]


def test_without_the_extra(monkeypatch):
    """Whoever has not installed what the shop needs is told how."""
    monkeypatch.setitem(__import__("sys").modules, "bm25s", None)
    from agent_gym.envs.webshop import stock

    monkeypatch.setattr(stock, "generated_stock", stock.generated_stock.__wrapped__)
    with pytest.raises(MissingExtraError, match=r"agent-gym\[webshop\]"):
        make(products=61).reset()
