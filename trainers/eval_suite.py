"""One model in many environments: `agent-gym eval --env 'AgentGym/*'`, a row for each and one for all.

Each environment is played as `agent-gym eval` plays it alone, with its default settings, and leaves the same files in a
directory of its own; `suite.json` beside them holds the table. What has its summary, of the same tasks, model and
settings, is not played again, so what is stopped goes on. What can't be played here is named and left out.
"""

import fnmatch
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from agent_gym.errors import AgentGymError, BadOptionError, DataNotFoundError, MissingExtraError
from agent_gym.multi_agent.games import is_game
from agent_gym.suite import ENVIRONMENTS, GAMES, about, settings_of
from trainers.checks import MakeEnvs, first_prompt, require_fit, require_output_dir
from trainers.commands import be_quiet
from trainers.config import EnvConfig, TrainConfig
from trainers.eval_play import Part, play_part, played_before
from trainers.evaluate import versions
from trainers.evaluate_report import suite_table
from trainers.players import Players
from trainers.run_files import written_whole
from trainers.statistics import mean_of_rates_interval
from trainers.tables import show_table
from trainers.tasks import agents_of, slots_of, spread

if TYPE_CHECKING:
    from trainers.eval_command import Eval

SUITE = "suite.json"
TEST = "test"
_ROW = ("tasks", "episodes", "success", "interval", "score", "length", "failed")
"""What `suite.json` takes over from a summary."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """What can be played, and why the rest can't."""

    parts: dict[str, Part]
    left_out: dict[str, str]
    prompt: Any
    """The first prompt of the first part, with which a server is tried."""


def evaluate_suite(verb: "Eval", console: Console, make_envs: MakeEnvs) -> int:
    """Evaluate in every environment that the pattern names, and print the table.

    Raises:
        BadOptionError: If the pattern names nothing that can be played here, or a setting means nothing.
    """
    run, trained = verb.find_run()
    kind = verb.split or TEST
    directory = Path(verb.output_dir) if verb.output_dir else (run or Path("runs")) / "eval" / f"suite-{kind}"
    require_output_dir(directory, fresh=False)
    if not verb.server.url:
        be_quiet()
    plan = _plan(verb, trained, kind, make_envs)
    for name, reason in plan.left_out.items():
        console.print(f"{name} is left out: {reason}", style="yellow", highlight=False, markup=False, soft_wrap=True)
    if not plan.parts:
        raise BadOptionError(f"{verb.env.id!r} names nothing that can be played here with --split {kind}.")
    cast = _Players(verb, plan)
    summaries, left_out = {}, dict(plan.left_out)
    for number, (name, part) in enumerate(plan.parts.items()):
        console.print(f"{number + 1} of {len(plan.parts)}: {name}, {len(part.tasks)} tasks", highlight=False)
        try:
            summaries[name] = _summary_of(cast, part, directory / name.rpartition("/")[2], make_envs)
        except AgentGymError as error:  # such as a prompt that is too long for this model
            left_out[name] = " ".join(str(error).split())
            console.print(f"{name} is left out: {left_out[name]}", style="yellow", markup=False, soft_wrap=True)
        result = suite_summary(verb.env.id, kind, summaries, left_out)
        with written_whole(directory / SUITE) as file:
            json.dump(result, file, indent=1)
    model = verb.model.path or cast.shared.client.settings.model
    show_table(console, suite_table(f"{model} on {kind}", result))
    console.print(f"written to {directory}", highlight=False, soft_wrap=True)
    return 0


def matching(pattern: str) -> list[str]:
    """Return the ids and the games that a pattern names, in their order.

    >>> matching("AgentGym/[RS]o*")
    ['AgentGym/Rooms-v0', 'AgentGym/Sokoban-v0']

    Raises:
        BadOptionError: If there is none.
    """
    found = [name for name in (*ENVIRONMENTS, *GAMES) if fnmatch.fnmatchcase(name, pattern)]
    if not found:
        raise BadOptionError(f"--env {pattern!r} names no environment of this package; `agent-gym list` shows them.")
    return found


def _plan(verb: "Eval", trained: TrainConfig | None, kind: str, make_envs: MakeEnvs) -> _Plan:
    """Make one of each environment, to know its tasks and that the settings fit, before a model is loaded."""
    from trainers.eval_command import seen_in_training

    parts: dict[str, Part] = {}
    left_out: dict[str, str] = {}
    prompt: Any = None
    for name in matching(verb.env.id):
        split = about(name).split_like(kind)
        if split is None:
            splits = (*about(name).splits, *about(name).published)
            left_out[name] = f"it has no split {kind}, but {', '.join(splits)}."
            continue
        config = _config_of(verb, trained, name)
        try:
            env = make_envs(replace(config, num_envs=1))
            slots = slots_of(env)
            tasks = spread(slots.tasks(split), verb.tasks, agents_of(slots))
            prompt = prompt or first_prompt(env, tasks)
        except (DataNotFoundError, MissingExtraError) as error:
            left_out[name] = " ".join(str(error).split())
            continue
        try:
            players = verb.players_like(trained, slots, name)
        except BadOptionError as error:  # a checkpoint with models for other roles
            left_out[name] = " ".join(str(error).split())
            continue
        own = str(getattr(slots.envs[0].unwrapped, "split", ""))  # type: ignore[attr-defined]  # all of ours have them
        env.close()
        seats = max(agents_of(slots), min(config.num_envs, len(tasks) * verb.samples))
        parts[name] = Part(
            env=replace(config, num_envs=seats),
            split=split,
            tasks=tasks,
            sampling=verb.sampling(trained),
            samples=verb.samples,
            seed=verb.seed,
            players=players,
            note=seen_in_training(trained, name, split, own),
        )
    return _Plan(parts=parts, left_out=left_out, prompt=prompt)


def _config_of(verb: "Eval", trained: TrainConfig | None, name: str) -> EnvConfig:
    """Return how an environment is made: as the model was trained in it, or wrapped as where the model was trained."""
    like = trained.env if trained is not None else EnvConfig()
    settings = dict(like.settings)
    if like.id != name:
        known = like.id in ENVIRONMENTS or (is_game(like.id) and like.id in GAMES)
        own = settings_of(like.id) if known else settings  # of a stranger it can't be told which are the wrappers'
        settings = {key: value for key, value in settings.items() if key not in (*own, "max_episode_steps")}
    return EnvConfig(
        id=name,
        context=verb.env.context or like.context,
        num_envs=verb.env.num_envs,
        workers=0 if is_game(name) else verb.env.workers or (like.workers if like.id == name else 0),
        settings=settings | verb.env.settings,
    )


class _Players:
    """Who plays: the model in every environment, or of a checkpoint with a model for each role those of a game."""

    def __init__(self, verb: "Eval", plan: _Plan) -> None:
        self.verb, self._plan = verb, plan
        self.shared: Any = None
        """The one model; `None` where there is none that plays alone."""
        if any(part.players == Players() for part in plan.parts.values()):
            self.shared = self._load()

    def of(self, part: Part, slots: Any) -> Any:
        """Return who plays in an environment: a policy, or one for each role."""
        if part.players != Players():
            return self.verb.load_players(part.players, slots, part.env)
        if self.verb.server.url:
            return self.shared
        from trainers.policies.tabular import is_tabular

        # A table takes in the states that it meets, and those of one environment must not change how it plays in the
        # next: when the evaluation is stopped and goes on, it does not meet them again.
        return self._load() if is_tabular(self.verb.model.path) else self.shared

    def _load(self) -> Any:
        return self.verb.load(self._plan.prompt, next(iter(self._plan.parts.values())).sampling)


def _summary_of(cast: _Players, part: Part, directory: Path, make_envs: MakeEnvs) -> dict[str, Any]:
    """Return the summary of one part, which is played unless it was before."""
    from trainers.rollout import RolloutStats

    verb = cast.verb
    named = functools.partial(verb.named_with_players, cast.shared, part.players)
    if verb.server.url:
        named = functools.partial(named, before=replace(cast.shared.usage))
    found = played_before(part, directory, named(RolloutStats()))
    if found is not None:
        return found
    env = make_envs(part.env)
    try:
        policy = cast.of(part, slots_of(env))
        if not verb.server.url:
            require_fit(policy, env, part.split)
        return play_part(part, policy, env, directory, named).summary
    finally:
        env.close()


def suite_summary(
    pattern: str, kind: str, summaries: Mapping[str, Mapping[str, Any]], left_out: Mapping[str, str]
) -> dict[str, Any]:
    """Return what `suite.json` holds: a row per environment, and the mean over environments, each counting once."""
    rows = {
        name: {
            "split": one["split"],
            **{key: one["all"][key] for key in _ROW},
            "tokens": one["model"]["tokens"],
            "note": one["note"],
        }
        for name, one in summaries.items()
    }
    mean = {}
    if rows:
        rates = [(row["success"], row["tasks"]) for row in rows.values()]
        mean = {
            "environments": len(rows),
            "success": sum(rate for rate, _ in rates) / len(rates),
            "interval": list(mean_of_rates_interval(rates)),
            "score": sum(row["score"] for row in rows.values()) / len(rows),
        }
    first = next(iter(summaries.values()), {})
    return {
        "pattern": pattern,
        "split": kind,
        "model": {key: value for key, value in first.get("model", {}).items() if key != "tokens"},
        "sampling": first.get("sampling", {}),
        "versions": versions(),
        "mean": mean,
        "environments": rows,
        "left_out": dict(left_out),
    }
