"""What a study compares: methods, in arenas, over seeds; and which run comes next.

A study is a TOML file. An *arena* is a whole training configuration; a *method* is a change of it. Every run leaves one
small JSON file, and what has its file is never run again, so a study can be stopped at any time and be extended.

    name = "alfworld"
    seeds = 5                       # of the rate that is best
    sweep_seeds = 2                 # of every rate
    rates = [3e-4, 1e-3]            # learning rates; none leaves the arena's own
    widen = 1                       # further rates at most, while the best is the largest or smallest tried

    [arenas.generated]
    recipe = "alfworld-tiny"        # or a config with a model in it
    metric = "rollout/success"      # what is compared, from metrics.jsonl; a minus in front if less is better
    config = { iterations = 60 }
    tests.published = { split = "valid_seen" }

    [methods.gigpo]
    config = { credit = { method = "gigpo" } }

    [methods.dapo]
    use = "dapo"                    # a published method, or a TOML file; config changes what it says

Rates are swept on the first seeds, each method has its own best one (highest mean area under the curve), and only that
is repeated on the other seeds: a method whose advantages are twice as large must not win by its larger steps.

What a run is configured by, each over the one before: `config` of the study, the arena, the method, `always` of the
study, the rate and the seed.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, get_args

from agent_gym.errors import BadOptionError, did_you_mean
from trainers.config import TrainConfig, config_from_table, to_toml
from trainers.methods import apply_method
from trainers.recipes import load_recipe

Store = Literal["files", "lines"]


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """Tasks that the weights at the start and at the end are played on, greedily; they decide nothing."""

    split: str
    tasks: int | None = None
    """Tasks, evenly spaced over the split's list; all if none."""


@dataclass(frozen=True, kw_only=True)
class Arena:
    """What is learnt, and how it is measured."""

    name: str
    config: TrainConfig
    recipe: str | None = None
    """Makes the model; all methods of a seed start from the same one."""
    metric: str = "rollout/success"
    """Column of `metrics.jsonl` that methods are compared by; a minus in front says that less is better."""
    threshold: float | None = None
    """Value of the metric that counts as learnt."""
    tests: Mapping[str, TestSet] = field(default_factory=dict)
    rates: tuple[float, ...] = ()
    """Rates swept here, instead of the study's."""
    note: str = ""
    """What the arena asks of a method."""

    @property
    def column(self) -> str:
        """The metric's name, without the sign."""
        return self.metric.removeprefix("-")

    @property
    def episodes(self) -> int:
        """Episodes of a run, whichever method it is of."""
        return self.config.iterations * self.config.rollout.groups * self.config.rollout.group_size

    @property
    def label(self) -> str:
        """The metric's name, and that less of it is better where that is so."""
        return self.column + (" (less is better)" if self.sign < 0 else "")

    @property
    def sign(self) -> float:
        """−1 where less is better."""
        return -1.0 if self.metric.startswith("-") else 1.0


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to learn: changes of an arena's configuration."""

    name: str
    use: str | None = None
    """Published method or TOML file that the changes start from, see `trainers.methods`."""
    config: Mapping[str, Any] = field(default_factory=dict)
    arenas: tuple[str, ...] = ()
    """Where it applies; everywhere if empty."""
    rates: tuple[float, ...] = ()
    """Rates swept for it, instead of the arena's: of a method whose advantages have another size."""
    note: str = ""
    """Why it is left out elsewhere, or what it stands for."""


@dataclass(frozen=True, kw_only=True, order=True)
class Run:
    """One training run of a study."""

    arena: str
    method: str
    seed: int
    rate: float | None = None

    @property
    def path(self) -> Path:
        """Where its result lies, below the study's directory."""
        rate = "" if self.rate is None else f"-lr{self.rate:g}"
        return Path(self.arena) / f"{self.method}{rate}-{self.seed}.json"


Results = dict[Run, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Study:
    """All of it."""

    name: str
    arenas: Mapping[str, Arena]
    methods: Mapping[str, Method]
    seeds: int = 5
    sweep_seeds: int = 2
    rates: tuple[float, ...] = ()
    widen: int = 0
    """While the best rate of a sweep is the largest or the smallest, one beyond it is tried, this often at most."""
    always: Mapping[str, Any] = field(default_factory=dict)
    """Settings of all runs, whatever their method says."""
    store: Store = "files"
    """files: a JSON file per run, for runs that take hours. lines: a file of JSON lines per arena, for hundreds of runs
    that take seconds; the working files of a run are removed when it is done."""
    _settings_of: dict[Run, dict[str, Any]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def pairs(self) -> Iterator[tuple[Arena, Method]]:
        """Every method in every arena where it applies."""
        for arena in self.arenas.values():
            for method in self.methods.values():
                if not method.arenas or arena.name in method.arenas:
                    yield arena, method

    def config(self, run: Run) -> TrainConfig:
        """The configuration of a run; where a recipe makes the model, it names none."""
        method, config = self.methods[run.method], self.arenas[run.arena].config
        if method.use is not None:
            config = apply_method(method.use, config)
        config = config_from_table(self.always, config_from_table(method.config, config))
        if run.rate is not None:
            config = replace(config, learner=replace(config.learner, learning_rate=run.rate))
        return replace(config, seed=run.seed)

    def fingerprint(self, run: Run) -> str:
        """What a result must agree with to count: a hash of all settings that are not the trainer's defaults.

        So a setting that the trainer gets later, and that changes nothing unless it is set, leaves old results valid.
        """
        arena, first = self.arenas[run.arena], replace(run, seed=0)
        if first not in self._settings_of:  # takes milliseconds, and a study may have thousands of runs
            self._settings_of[first] = _settings(replace(self.config(first), output_dir="", processes=None))
        seed = {"seed": run.seed} if run.seed else {}
        tests = {name: asdict(test) for name, test in arena.tests.items()}
        text = json.dumps([self._settings_of[first] | seed, arena.recipe, tests], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def next_runs(self, results: Results) -> list[Run]:
        """The runs that are missing and can be decided on by now; empty when the study is done."""
        missing: list[Run] = []
        for arena, method in self.pairs():
            waiting = [run for run in self.sweep(arena, method, results) if run not in results]
            if not waiting:
                rate = self.best_rate(arena, method, results)
                runs = [Run(arena=arena.name, method=method.name, seed=seed, rate=rate) for seed in range(self.seeds)]
                waiting = [run for run in runs if run not in results]
            missing += waiting
        return sorted(missing, key=lambda run: (run.seed, run.arena, run.method, run.rate or 0.0))

    def rates_of(self, arena: Arena, method: Method) -> tuple[float, ...]:
        """The rates that are swept for a method in an arena; empty if the arena's configuration says it."""
        return method.rates or arena.rates or self.rates

    def rates_tried(self, arena: Arena, method: Method, results: Results) -> tuple[float, ...]:
        """The rates that are swept, sorted: those of the study and those beyond, as far as results ask for them."""
        rates = sorted(self.rates_of(arena, method))
        for _ in range(self.widen if len(rates) > 1 else 0):
            if any(run not in results for run in self._runs_of(arena, method, rates)):
                break
            best = self._best_of(arena, method, rates, results)
            if best == rates[-1]:
                rates.append(_beyond(rates[-2], rates[-1]))
            elif best == rates[0]:
                rates.insert(0, _beyond(rates[1], rates[0]))
            else:
                break
        return tuple(rates)

    def sweep(self, arena: Arena, method: Method, results: Results) -> list[Run]:
        """Every rate that is tried, on the first seeds; nothing where there is no choice."""
        rates = self.rates_tried(arena, method, results)
        return self._runs_of(arena, method, rates) if len(rates) > 1 else []

    def _runs_of(self, arena: Arena, method: Method, rates: Sequence[float]) -> list[Run]:
        return [
            Run(arena=arena.name, method=method.name, seed=seed, rate=rate)
            for seed in range(min(self.sweep_seeds, self.seeds))
            for rate in rates
        ]

    def best_rate(self, arena: Arena, method: Method, results: Results) -> float | None:
        """The rate with the highest mean area under the curve over the seeds of the sweep; None if none is swept.

        While the sweep goes on it is provisional: over the seeds that have all rates, or else of the rates that have
        all seeds.
        """
        return self._best_of(arena, method, self.rates_tried(arena, method, results), results)

    def _best_of(self, arena: Arena, method: Method, rates: Sequence[float], results: Results) -> float | None:
        seeds = range(min(self.sweep_seeds, self.seeds))
        if len(rates) < 2:
            return rates[0] if rates else None

        def found(rate: float, over: Sequence[int]) -> list[dict[str, Any]]:
            runs = (Run(arena=arena.name, method=method.name, seed=seed, rate=rate) for seed in over)
            return [results[run] for run in runs if run in results]

        whole = [seed for seed in seeds if all(found(rate, [seed]) for rate in rates)]
        over = whole or seeds
        done = [rate for rate in rates if len(found(rate, over)) == len(over)]
        means = {rate: fmean(area(arena, result) for result in found(rate, over)) for rate in done}
        return max(means, key=lambda rate: (means[rate], -rate)) if means else None

    def chosen(self, arena: Arena, method: Method, results: Results) -> dict[int, dict[str, Any]]:
        """Results of the best rate by seed: what is reported."""
        rate = self.best_rate(arena, method, results)
        runs = (Run(arena=arena.name, method=method.name, seed=seed, rate=rate) for seed in range(self.seeds))
        return {run.seed: results[run] for run in runs if run in results}


def _settings(config: TrainConfig) -> dict[str, Any]:
    """Every setting that differs from its default, by its dotted name; of a method always the name."""
    ours = _flat(tomllib.loads(to_toml(config)))
    kind = type(config.credit)
    defaults = _flat(tomllib.loads(to_toml(replace(TrainConfig(), credit=kind(), loss=type(config.loss)()))))
    named = {name: value for name, value in ours.items() if name.endswith(".method")}
    return {name: value for name, value in ours.items() if value != defaults.get(name)} | named


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in table.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return found


def area(arena: Arena, result: Mapping[str, Any]) -> float:
    """Mean of the metric over the arena's episodes, signed so that more is better."""
    values = result["curve"][arena.column]
    if "episodes" not in result["curve"]:
        return arena.sign * fmean(values)
    weights = [end - begin for begin, end in pairwise([0, *played(result, arena.episodes)])]
    return arena.sign * fmean(values, weights)


def played(result: Mapping[str, Any], most: int | None = None) -> list[int]:
    """Episodes that had been played after each iteration; beyond `most` they do not count."""
    curve = result["curve"]
    length = len(next(iter(curve.values())))
    counts = curve.get("episodes") or [result["episodes_per_iteration"]] * length
    return [total if most is None else min(total, most) for total in accumulate(counts)]


def load_study(path: str | Path) -> Study:
    """Read a study from a TOML file.

    Raises:
        BadOptionError: If the file can't be read, or something in it has no meaning.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadOptionError(f"expected a study, got {str(path)!r} ({error.strerror}).") from error
    except ValueError as error:
        raise BadOptionError(f"expected TOML in {str(path)!r}: {error}.") from error
    _check(table, {one.name for one in fields(Study) if one.init} | {"config"}, "")
    for name in ("name", "arenas", "methods"):
        if not table.get(name):
            raise BadOptionError(f"{str(path)!r} must have {name!r}; it has {sorted(table)}.")
    common = config_from_table(table.get("config", {}))
    arenas = {name: _arena(name, entry, common) for name, entry in table["arenas"].items()}
    methods = {name: _method(name, entry, arenas) for name, entry in table["methods"].items()}
    study = Study(
        name=str(table["name"]),
        arenas=arenas,
        methods=methods,
        seeds=_count(table, "seeds", 5),
        sweep_seeds=_count(table, "sweep_seeds", 2),
        rates=_rates(table),
        widen=_count(table, "widen", 0, least=0),
        always=table.get("always", {}),
        store=_store(table),
    )
    for arena, method in study.pairs():  # a method that does not fit says so now, not after a night of runs
        rate = next(iter(study.rates_of(arena, method)), None)
        study.config(Run(arena=arena.name, method=method.name, seed=0, rate=rate))
    return study


def _arena(name: str, table: Mapping[str, Any], common: TrainConfig) -> Arena:
    _check(table, {one.name for one in fields(Arena)} - {"name"}, f"arenas.{name}.")
    recipe = table.get("recipe")
    if recipe is not None and common != TrainConfig():
        raise BadOptionError(f"arenas.{name} starts from a recipe, so this study can't have a config of all arenas.")
    base = common if recipe is None else load_recipe(recipe).CONFIG
    tests = {}
    for test, entry in table.get("tests", {}).items():
        _check(entry, {one.name for one in fields(TestSet)}, f"arenas.{name}.tests.{test}.")
        tests[test] = TestSet(**entry)
    config = config_from_table(table.get("config", {}), base)
    for test, entry in tests.items():
        if entry.split in (config.env.split, config.evaluation.split):
            raise BadOptionError(
                f"arenas.{name}.tests.{test}.split must be tasks that decide nothing, got {entry.split!r}, which is "
                "trained on or chosen by."
            )
    return Arena(
        name=name,
        config=config,
        recipe=recipe,
        metric=str(table.get("metric", "rollout/success")),
        threshold=table.get("threshold"),
        tests=tests,
        rates=_rates(table),
        note=str(table.get("note", "")),
    )


def _method(name: str, table: Mapping[str, Any], arenas: Mapping[str, Arena]) -> Method:
    _check(table, {one.name for one in fields(Method)} - {"name"}, f"methods.{name}.")
    for arena in table.get("arenas", ()):
        if arena not in arenas:
            raise BadOptionError(
                f"methods.{name}.arenas must name arenas of this study, {sorted(arenas)}, got {arena!r}."
                + did_you_mean(arena, arenas)
            )
    return Method(
        name=name,
        use=table.get("use"),
        config=table.get("config", {}),
        arenas=tuple(table.get("arenas", ())),
        rates=_rates(table),
        note=str(table.get("note", "")),
    )


def _check(table: Any, known: set[str], where: str) -> None:
    if not isinstance(table, Mapping):
        raise BadOptionError(f"{where.rstrip('.')} must be a table, got {table!r}.")
    for name in table:
        if name not in known:
            raise BadOptionError(
                f"unknown key {where + name!r}: expected one of {sorted(known)}.{did_you_mean(name, known)}"
            )


def _rates(table: Mapping[str, Any]) -> tuple[float, ...]:
    return tuple(float(rate) for rate in table.get("rates", ()))


def _store(table: Mapping[str, Any]) -> Store:
    value: Store = table.get("store", "files")
    if value not in get_args(Store):
        raise BadOptionError(f"store must be one of {list(get_args(Store))}, got {value!r}.")
    return value


def _count(table: Mapping[str, Any], name: str, default: int, least: int = 1) -> int:
    value = table.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise BadOptionError(f"{name} must be a whole number of {least} or more, got {value!r}.")
    return value


def _beyond(inner: float, outer: float) -> float:
    """The next rate in the direction from one to the other, as far again; a rate names files by six digits."""
    return float(f"{outer * outer / inner:.6g}")
