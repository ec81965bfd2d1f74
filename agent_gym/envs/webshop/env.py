"""`AgentGym/WebShop-v0`: shopping in a simulated web shop, after the WebShop benchmark."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agent_gym import keys
from agent_gym.core import Expert, TextEnv
from agent_gym.envs.diagnostic import check_count
from agent_gym.envs.webshop.pages import done_page, item_page, results_page, search_page, sub_page
from agent_gym.envs.webshop.product import Goal, Product
from agent_gym.envs.webshop.readable import readable
from agent_gym.envs.webshop.score import Score, score
from agent_gym.envs.webshop.shop import AT_ITEM, AT_RESULTS, AT_SEARCH, DONE, Place, Visit
from agent_gym.envs.webshop.stock import (
    GENERATED_SPLITS,
    KINDS,
    PUBLISHED_SPLITS,
    Stock,
    data_directory,
    generated_stock,
    published_stock,
)
from agent_gym.envs.webshop.titles import noun_tagger
from agent_gym.errors import BadOptionError, StateError, UnknownTaskError, did_you_mean
from agent_gym.registration import WEBSHOP
from agent_gym.vector import TextVectorEnv

OBSERVATIONS = ("text", "readable")
REWARDS = ("score", "success")
NOUNS = ("light", "spacy")
PRODUCT_NAMES = ("code", "place")
MOST_PRODUCTS = 5_000_000
"""Four times as many as were published: from there on a mistyped number is likelier than a shop."""

AVAILABLE_ACTIONS = "available_actions"
"""Entry of `info` as the benchmark's users know it: `has_search_bar`, and the `clickables` in the order of the page."""
SCORE_PARTS = "score_parts"
"""Entry of `info` after a purchase: the parts of the score by name, as in `agent_gym.envs.webshop.score.Score`."""

_SEARCH_FORM = "search[<your query>]"
_PRICE_CLAUSE = re.compile(r"[,;]?\s*(and )?price (lower|less) than \$?[\d.,]+( dollars)?\W*$")

_INSTRUCTIONS = """\
You are in a web shop, and every page says what you are to buy: the kind of product, what it must be like, the options \
(such as color or size) to choose, and the highest price.

Commands:
  search[WORDS]  find products; works {where}
  click[TEXT]    click on a button, a product's {name} among the results, or the value of an option

Open a product by clicking on its {name}. On its page choose each option that is asked for by clicking on its value; \
"Description" and "Features" tell more about the product, "< Prev" leads a page back, "Next >" to more results, and \
"Back to Search" to the search bar. "Buy Now" buys the product with the chosen options and ends the visit. The score \
says how much of what was asked for you have bought. A command that is not possible changes nothing and costs a step."""


class WebshopEnv(TextEnv):
    """Buy what an instruction asks for, in a shop of published or generated products.

    Pages, clicks, search and score are those of the benchmark. The reward is 0 until the purchase, which ends the
    episode. All environments of a process share catalogue, search index and goals.

    Example:
        >>> import gymnasium as gym, agent_gym
        >>> env = gym.make("AgentGym/WebShop-v0")
        >>> observation, info = env.reset(seed=7)
        >>> observation.split(" [SEP] ")[:2], info["available_actions"]["has_search_bar"]
        (['WebShop', 'Instruction:'], True)
        >>> *_, info = env.step("search[shoes]")
        >>> "click[next >]" in info["admissible_actions"]
        True
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "html"], "render_fps": 4}  # noqa: RUF012  as in every gym.Env
    splits = (*PUBLISHED_SPLITS, *GENERATED_SPLITS)

    def __init__(
        self,
        *,
        split: str = "generated_train",
        data: str | os.PathLike[str] | None = None,
        products: int = 1000,
        catalogue_seed: int = 0,
        goals: str = "synthetic",
        reward: str = "score",
        observation: str = "text",
        nouns: str = "light",
        search_anywhere: bool = False,
        product_names: str = "code",
        expert_steps: int = 15,
        render_mode: str | None = None,
    ) -> None:
        """Set up the environment; products are read, or generated, when they are first needed.

        Args:
            split: Where `reset` draws tasks from: `train`, `valid`, `test` (published products), `generated_train`,
                `generated_valid` or `generated_test`.
            data: Directory of the published files; `None` means the environment variable `WEBSHOP_DATA`.
            products: Number of products in the shop. Of the published ones, the first.
            catalogue_seed: Which generated catalogue; published ones have no choice.
            goals: Goals of published products: `"synthetic"`, or `"human"` for those that people wrote.
            reward: Reward for the purchase: `"score"` (graded) or `"success"` (1 if the score is 1, else 0).
            observation: `"text"` is the benchmark's form, `"readable"` has lines, marks buttons, and shows the query
                and the chosen options.
            nouns: How the nouns of titles are found, by which types of products are compared: `"light"`, or `"spacy"`
                as the benchmark does (needs the extra `webshop-spacy` and its model).
            search_anywhere: Whether `search[…]` works on pages without a search bar too, as in the benchmark.
            product_names: What a product is called among results: `"code"` as in the benchmark, or `"place"`: "Item 3"
                is the third that the search has found, in words that a small model can read and say.
            expert_steps: In which the expert means to have bought: with 5 it searches for the instruction in its
                own words, opens, chooses and buys, and reads a page only where nothing is to be chosen. For
                demonstrations that are short and easy to imitate.
            render_mode: `"ansi"`, `"html"` (the page as a browser shows it) or `None`.

        Raises:
            BadOptionError: If a setting is not known.
            UnknownSplitError: If there is no such split.
            DataNotFoundError: If `data` is given and missing.
        """
        super().__init__(split=split, render_mode=render_mode)
        self.products = check_count("products", products, 1, MOST_PRODUCTS)
        self.catalogue_seed = check_count("catalogue_seed", catalogue_seed, 0, 2**31)
        self.goals = _check_choice("goals", goals, KINDS)
        self.reward = _check_choice("reward", reward, REWARDS)
        self.observation = _check_choice("observation", observation, OBSERVATIONS)
        self.nouns = _check_choice("nouns", nouns, NOUNS)
        if not isinstance(search_anywhere, bool):
            raise BadOptionError(f"search_anywhere must be True or False, got {search_anywhere!r}.")
        self.search_anywhere = search_anywhere
        self.product_names = _check_choice("product_names", product_names, PRODUCT_NAMES)
        self.expert_steps = check_count("expert_steps", expert_steps, 1, 1_000_000)
        self._data = None if data is None else data_directory(data)
        self._tagger = noun_tagger(nouns)
        self._visit: Visit | None = None
        self._static_info: dict[str, Any] = {}
        self._first_query = ""

    @property
    def instructions(self) -> str:
        """The rules and commands."""
        where = "on every page" if self.search_anywhere else "where there is a search bar"
        return _INSTRUCTIONS.format(where=where, name="code" if self.product_names == "code" else "name")

    @property
    def visit(self) -> Visit:
        """The customer whose episode is played, for planners and pages that may look at the state.

        Raises:
            StateError: Before the first `reset`.
        """
        if self._visit is None:
            raise StateError("There is no customer yet: call reset() first.")
        return self._visit

    def stock(self, split: str) -> Stock:
        """Return catalogue and goals of a split; the first call may build the catalogue, which takes a while.

        Raises:
            UnknownSplitError: If there is no such split.
            DataNotFoundError: If it is a published one and its files are missing.
        """
        self._check_split(split)
        if split in GENERATED_SPLITS:
            return generated_stock(self.products, self.catalogue_seed)
        return published_stock(data_directory(self._data), self.products, self.goals == "human")

    def tasks(self, split: str) -> Sequence[str]:
        """Return the sorted task ids of a split, which may be a lazy list."""
        return self.stock(split).goals.tasks(split)

    def make_expert(self) -> Expert:
        """Return an expert that shops from what the pages say."""
        from agent_gym.envs.webshop.expert import WebshopExpert

        return WebshopExpert(self.expert_steps)

    def render(self) -> str | None:
        """Return the page as HTML in render mode `"html"`; else as every text environment does."""
        if self.render_mode != "html":
            return super().render()
        if self._visit is None:
            return None
        from agent_gym.envs.webshop.html import html_page

        return html_page(self._visit)

    def close(self) -> None:
        """Let go of the customer; what environments share stays."""
        self._visit = None

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        source = task.partition("/")[0].partition("-")[0]
        if source not in ("generated", "published"):
            raise UnknownTaskError(
                f"Tasks are named generated/… or published/…, got {task!r}; env.unwrapped.tasks(split) lists them."
            )
        stock = self.stock(GENERATED_SPLITS[0] if source == "generated" else PUBLISHED_SPLITS[0])
        goal = stock.goals.goal(task)
        self._visit = visit = Visit(
            stock.pages,
            goal,
            self._judge,
            search_anywhere=self.search_anywhere,
            numbered=self.product_names == "place",
        )
        self._static_info = {keys.SPLIT: stock.split_of(task), keys.SOURCE: stock.catalogue.source}
        self._first_query = f"search[{_words_of(goal.instruction)}]"
        return self._observe(visit), self._info(visit, valid=True)

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        visit = self.visit
        valid = visit.act(command)
        bought = visit.place.score
        reward = 0.0
        if bought is not None:
            reward = bought.total if self.reward == "score" else float(bought.success)
        return self._observe(visit), reward, bought is not None, self._info(visit, valid=valid)

    def _judge(self, goal: Goal, bought: Product, options: Mapping[str, str]) -> Score:
        catalogue = self.visit.pages.catalogue
        position = catalogue.position(goal.asin)
        assert position is not None  # a goal is made from a product of its catalogue
        return score(goal, catalogue.product(position), bought, options, self._tagger)

    def _observe(self, visit: Visit) -> str:
        if self.observation == "readable":
            return readable(visit)
        place, instruction = visit.place, visit.goal.instruction
        if place.page == AT_RESULTS:
            assert visit.results is not None
            return results_page(instruction, visit.results)
        if place.page == AT_SEARCH:
            return search_page(instruction)
        if place.page == AT_ITEM:
            return item_page(instruction, visit.item)
        if place.page == DONE:
            assert place.score is not None
            return done_page(visit.item.product.asin, dict(place.options), place.score.total)
        return sub_page(instruction, visit.item, place.page)

    def _info(self, visit: Visit, *, valid: bool) -> dict[str, Any]:
        clickables, forms, commands = visit.links
        if visit.can_search:
            commands, forms = tuple(sorted((*commands, self._first_query))), (_SEARCH_FORM, *forms)
        bought = visit.place.score
        won = bought is not None and bought.success
        info = {
            keys.STATE_KEY: visit.key(),
            keys.ADMISSIBLE_ACTIONS: commands,
            keys.ALIASES[keys.ADMISSIBLE_ACTIONS]: commands,
            keys.COMMAND_FORMS: forms,
            AVAILABLE_ACTIONS: {"has_search_bar": visit.place.page == AT_SEARCH, "clickables": clickables},
            keys.ACTION_VALID: valid,
            keys.SUCCESS: won,
            keys.ALIASES[keys.SUCCESS]: won,
            keys.SCORE: 0.0 if bought is None else bought.total,
            **self._static_info,
        }
        return info if bought is None else info | {SCORE_PARTS: dataclasses.asdict(bought)}

    def _get_state(self) -> Place:
        return self.visit.place

    def _set_state(self, state: Place) -> None:
        self.visit.go_to(state)


def webshop_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments in this process; the vector entry point of `AgentGym/WebShop-v0`."""
    return TextVectorEnv.of(WEBSHOP, num_envs, **kwargs)


def _words_of(instruction: str) -> str:
    """Return an instruction as words to search for: on one line, and without the price, which no product's text has."""
    words = " ".join(instruction.split())
    return _PRICE_CLAUSE.sub("", words) or words


def _check_choice(name: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise BadOptionError(
            f"{name} must be one of {list(choices)}, got {value!r}.{did_you_mean(str(value), choices)}"
        )
    return value
