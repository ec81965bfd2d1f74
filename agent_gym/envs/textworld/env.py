"""`AgentGym/TextWorld-v0`: TextWorld's games as a Gymnasium environment, on the real engine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym

from agent_gym import keys
from agent_gym.core import Expert, TextEnv, with_known_settings
from agent_gym.envs.diagnostic import check_count, check_path, limited
from agent_gym.envs.textworld.engine import ENGINE, Player, load_game
from agent_gym.envs.textworld.expert import WalkthroughExpert
from agent_gym.envs.textworld.library import GameFiles, GeneratedGames, Library
from agent_gym.envs.textworld.tasks import MOST_LAYOUTS, kind_of
from agent_gym.errors import StateError
from agent_gym.registration import TEXTWORLD
from agent_gym.vector import TextVectorEnv

_INSTRUCTIONS = """\
You play a text adventure. You are in a place with exits, and perhaps doors, containers and things to take. What you \
are to achieve is told at the start, or is to be found out. The game can be lost, for example by eating or burning \
what is needed.

Commands, with names as the game says them:
  look
  inventory
  go north, go south, go east, go west
  examine THING
  take THING, take THING from PLACE
  drop THING, put THING on PLACE, insert THING into CONTAINER
  open THING, close THING
  unlock THING with KEY, lock THING with KEY
  eat FOOD
In a kitchen also:
  cook FOOD with APPLIANCE
  slice FOOD with KNIFE, dice FOOD with KNIFE, chop FOOD with KNIFE
  prepare meal
One command a turn. A command that the game does not carry out costs a turn and changes nothing."""


class TextworldEnv(TextEnv):
    """Text adventures on the engine of Microsoft's TextWorld. The reward of a step is by how much the score rises.

    The score is the share of the game's points, and 1 exactly when it is won. `info` also has `lost`, and TextWorld's
    names `admissible_commands` and `won`.

    Example:
        >>> import gymnasium as gym, agent_gym
        >>> env = gym.make("AgentGym/TextWorld-v0", challenge="cooking")
        >>> env.unwrapped.tasks("train")[3]
        'train/cooking-1-1-6-cook+cut+open-000003'
    """

    def __init__(
        self,
        *,
        split: str | None = None,
        challenge: str = "coin-collector",
        level: int = 5,
        goal: str = "brief",
        rewards: str = "balanced",
        recipe: int = 1,
        take: int = 1,
        rooms: int = 6,
        skills: str = "cook+cut+open",
        games: str | os.PathLike[str] | None = None,
        layouts: int = 1000,
        render_mode: str | None = None,
    ) -> None:
        """Set up the tasks; see `make_textworld` for the settings. No game is made yet."""
        self._library: Library
        if games is None:
            kind = kind_of(
                challenge,
                level=level,
                goal=goal,
                rewards=rewards,
                recipe=recipe,
                take=take,
                rooms=rooms,
                skills=skills,
            )
            self._library = GeneratedGames(kind, check_count("layouts", layouts, 1, MOST_LAYOUTS))
        else:
            self._library = GameFiles(Path(check_path("games", games)))
        self.splits = self._library.splits
        first = "train" if "train" in self.splits else self.splits[0]
        super().__init__(split=first if split is None else split, render_mode=render_mode)
        self._player: Player | None = None
        self._playing = ""

    @property
    def instructions(self) -> str:
        """The rules and commands."""
        return _INSTRUCTIONS

    def tasks(self, split: str) -> Sequence[str]:
        """Return the task ids of a split; those of generated games are listed lazily."""
        self._check_split(split)
        return self._library.tasks(split)

    def make_expert(self) -> Expert:
        """Return an expert that is told the game."""
        return WalkthroughExpert(lambda: self.player)

    @property
    def player(self) -> Player:
        """The episode as the engine has it, for planners that may look at the facts.

        Raises:
            StateError: Before the first `reset`.
        """
        if self._player is None:
            raise StateError("There is no game yet: call reset() first.")
        return self._player

    def close(self) -> None:
        """Let go of the interpreter."""
        self._player = None

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        path = self._library.game(task)
        with ENGINE:
            game = load_game(path)
            if self._player is None or self._player.game is not game:
                self._player = Player(game)
            self._playing = task
            observation = self._player.reset()
            return observation, self._info(self._player, valid=True)

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        player = self.player
        before = player.score
        with ENGINE:
            observation, valid = player.step(command)
            over = player.position.won or player.position.lost
            return observation, player.score - before, over, self._info(player, valid=valid)

    def _info(self, player: Player, *, valid: bool) -> dict[str, Any]:
        commands, won = player.commands, player.position.won
        return {
            keys.STATE_KEY: f"{self._playing}:{player.state_key()}",
            keys.ADMISSIBLE_ACTIONS: commands,
            keys.ALIASES[keys.ADMISSIBLE_ACTIONS]: commands,
            keys.ACTION_VALID: valid,
            keys.SUCCESS: won,
            keys.ALIASES[keys.SUCCESS]: won,
            "lost": player.position.lost,
            keys.SCORE: player.score,
            keys.SPLIT: self._playing.partition("/")[0],
            keys.SOURCE: self._library.source,
        }

    def _get_state(self) -> Any:
        return self.player.get_state()

    def _set_state(self, state: Any) -> None:
        self.player.set_state(state)


@with_known_settings
def make_textworld(
    *,
    split: str | None = None,
    challenge: str = "coin-collector",
    level: int = 5,
    goal: str = "brief",
    rewards: str = "balanced",
    recipe: int = 1,
    take: int = 1,
    rooms: int = 6,
    skills: str = "cook+cut+open",
    games: str | os.PathLike[str] | None = None,
    layouts: int = 1000,
    steps: int = 50,
    render_mode: str | None = None,
) -> gym.Env[str, str]:
    """Make the environment with its limit on steps; the entry point of `AgentGym/TextWorld-v0`.

    Args:
        split: Where `reset` draws tasks from: `train` (default), `valid` or `test`. With `games`, the splits that its
            folders make, or `all`.
        challenge: `coin-collector`, `treasure-hunter`, `simple` or `cooking`.
        level: Of coin collector, 1 to 300 with at most 100 rooms, and of treasure hunter, 1 to 30.
        goal: What the opening says (not in cooking): `brief`, the last thing to do; `detailed`, the whole way; `none`.
        rewards: Points of simple games: `dense`, `balanced` or `sparse`.
        recipe: Ingredients of the recipe of a cooking game, 1 to 5.
        take: How many of them have to be fetched.
        rooms: Rooms of a cooking game: 1, 6, 9 or 12.
        skills: What a cooking game asks for: any of `cook`, `cut`, `drop`, `open`, joined by `+`.
        games: A game file, or a directory of them, instead of generated games: `.z8` with its `.json`, `.json` alone,
            or `.ulx` with its `.json`.
        layouts: Generated tasks per split, the first of a fixed list; 1 is a single game to learn.
        steps: Limit on steps.
        render_mode: `"ansi"` or `None`.

    Raises:
        BadOptionError: If a setting is not known or out of range.
        DataNotFoundError: If there are no game files at `games`.
        GameFileError: If `games` holds what can't be told apart.
    """
    env = TextworldEnv(
        split=split,
        challenge=challenge,
        level=level,
        goal=goal,
        rewards=rewards,
        recipe=recipe,
        take=take,
        rooms=rooms,
        skills=skills,
        games=games,
        layouts=layouts,
        render_mode=render_mode,
    )
    return limited(env, check_count("steps", steps, 1, 100_000))


def textworld_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments; the vector entry point of `AgentGym/TextWorld-v0`. Takes `workers`, too."""
    return TextVectorEnv.of(TEXTWORLD, num_envs, **kwargs)
