"""The training loop. `Trainer.train` reads top to bottom; each phase is one method below it.

    play      groups of episodes, every group's from the same start            trainers.rollout, extras
    assign    shaped rewards, and an advantage for every turn                  trainers.assign, shaping, credit
    learn     turns to tokens, tokens to a step of the weights                 trainers.samples, learner
    sync      the new weights to what samples, where that has its own          trainers.playing, policies
    log       metrics and episodes                                             trainers.metrics
    evaluate  on validation tasks that are never trained on                    trainers.evaluate
    save      everything that is needed to go on exactly                       trainers.checkpoint

All that is drawn is a function of the seed, the iteration and a place in it, never of what was drawn before: so the
position is all that resuming has to know, and any number of ranks plays the same episodes.

Under `torchrun` each rank plays its share of the groups; then every rank knows all episodes, assigns the same credit,
and learns from its share of the samples.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent_gym import SlotEnv
from agent_gym.errors import AgentGymError, BadOptionError
from trainers.assign import Credited, uncredited
from trainers.callbacks import TrainControl, TrainerCallback, TrainState
from trainers.checkpoint import State, checkpoint_bytes, load_latest, require_space, save
from trainers.checks import require_no_ray
from trainers.config import TrainConfig, to_toml
from trainers.evaluate import SUMMARY, Evaluation, summarise, summary
from trainers.extras import Extras, Played
from trainers.interrupt import Interruption
from trainers.judges import make_judge
from trainers.metrics import RunLog, credit_metrics, episode_lines, players_metrics, rollout_metrics, speed_metrics
from trainers.parallel import Ranks, limit_threads
from trainers.players import Players
from trainers.playing import FILTERING, Playing
from trainers.policies.base import TrainablePolicy
from trainers.rollout import RolloutStats
from trainers.run_files import CHECKPOINTS, CONFIG, holds_run, written_whole
from trainers.samples import Sample
from trainers.students import Models, Student
from trainers.tasks import TaskOrder, choose_tasks
from trainers.types import Group

SMALL_MODEL = 100_000_000
"""Weights below which a checkpoint costs little beside an iteration, so that every iteration is saved."""


class Trainer:
    """Trains a policy in an environment.

    Example:
        config = TrainConfig(env=EnvConfig(id="AgentGym/ALFWorld-v0"), output_dir="runs/a")
        env = make_llm_vec(config.env.id, config.env.num_envs, context=config.env.context)
        Trainer(config, env=env, policy=load_policy("./my-qwen")).train()

    Args:
        config: Everything else.
        env: Environments that render prompts for `config.env.context`: a `TextVectorEnv`, or slots.
        policy: Answers the prompts, and is trained in place. In a game of several agents it may be one for each role,
            by its name: those that `config.players.roles` names stay as they are, and the others are one policy or
            different ones, as `config.players.learn` says.
        callbacks: Told of every event.
        resume: Go on from the last checkpoint in the output directory, if there is one.
        playing: Makes what plays; others than this process may, see `trainers.ray_engine`.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        env: Any,
        policy: TrainablePolicy | Mapping[str, Any],
        callbacks: Sequence[TrainerCallback] = (),
        resume: bool = False,
        playing: Callable[[Any, SlotEnv, TrainConfig, Ranks], Playing] = Playing,
    ) -> None:
        if playing is Playing:
            require_no_ray(config)
        limit_threads()
        self.config = config
        self.directory = Path(config.output_dir)
        self.ranks = Ranks.from_environment()
        self.env, self.train_tasks, self.eval_tasks = choose_tasks(config, env)
        self.callbacks = list(callbacks)
        self.control = TrainControl()
        self.state = TrainState()
        config.require_complete()
        self.playing = playing(policy, self.env, config, self.ranks)
        self.cast = self.playing.cast
        if type(self.playing) is not Playing and (config.players != Players() or config.self_play is not None):
            raise BadOptionError("players and self_play must be left out where other processes play (--ray).")
        policies = list(self.cast.learners.values())
        self.extras = Extras(config, make_judge(config.judge, policies[0] if len(policies) == 1 else None, self.ranks))
        if config.env.context == "conversation":
            for one in policies:
                one.codec.check_prefix()
        self._check_directory(resume)
        self.students = [Student(name, one, config, self.ranks) for name, one in self.cast.learners.items()]
        """The policies that learn: one, or one for each role."""
        self._token_counts = {student.log_name("learner/tokens") for student in self.students}
        require_space(self.directory, self._checkpoint_bytes())
        weights = sum(parameter.numel() for one in policies for parameter in one.model.parameters())
        self.save_steps = config.output.save_steps or (1 if weights < SMALL_MODEL else 10)
        self._saved_at: int | None = None
        if resume:
            self._resume()

    # -- the loop ------------------------------------------------------------------------------------------------------

    def train(self, interruption: Interruption | None = None) -> TrainState:
        """Run the iterations that are left, and return where the run stands; Ctrl-C ends it after saving.

        Args:
            interruption: Through which somebody else may ask it to end, as Ctrl-C does.
        """
        config = self.config
        self._begin()
        with interruption or Interruption() as interruption:
            try:
                while self.state.iteration < config.iterations and not self._asked("should_training_stop"):
                    began = time.perf_counter()
                    self._emit("on_step_begin")

                    if self._evaluation_is_due() and self._evaluate(interruption):
                        self._save(best=True)
                    played = self._play(interruption)
                    self._play_ahead()
                    credited = [
                        student.credit(self.extras.estimator, played.groups, [self.extras.chain])
                        for student in self.students
                    ]
                    self._emit("on_rollout", credited=[one for theirs in credited for one in theirs])
                    learnt = self._learn(credited)
                    synced_s = self._sync()
                    remembered = self.extras.remember(played, self.state.iteration)
                    self._log(credited, played, remembered, learnt, synced_s, time.perf_counter() - began)
                    self._emit("on_step_end")

                    if self._save_is_due() or self.ranks.any(interruption.requested):
                        self._save(best=False)
                best = not self.state.evaluation and self._evaluate(interruption)
                if best or self._saved_at != self.state.iteration:
                    self._save(best=best)
            except KeyboardInterrupt:
                if interruption.forced:
                    raise
                self.interrupted = True
                if self._saved_at != self.state.iteration:
                    self._save(best=False)
        self._end()
        return self.state

    # -- play ----------------------------------------------------------------------------------------------------------

    def _play(self, interruption: Interruption) -> Played:
        """Play this iteration's groups: each rank its share, and then all of them know all.

        Raises:
            KeyboardInterrupt: On all ranks, if one was interrupted. What is lost is played again on resuming.
            AgentGymError: If not one episode could be played.
        """
        iteration, settings = self.state.iteration, self.config.rollout
        if self.extras.must_filter:
            self._filter_tasks(interruption)
        if self.cast.earlier is not None:
            self.cast.earlier.keep(iteration)

        def play_some(first: int, count: int) -> tuple[list[Group], RolloutStats]:
            tasks = self._tasks_of(iteration, first, count)
            return self.playing.train(tasks, settings.group_size, iteration, first, interruption)

        played = self.extras.collect(play_some, iteration, self._logprobs)
        errors = [episode.error for group in played.everything for episode in group.episodes if episode.error]
        if not any(episode.status != "failed" for group in played.everything for episode in group.episodes):
            raise AgentGymError(f"all episodes of iteration {iteration} failed, the first with: {errors[0]}")
        return played

    def _play_ahead(self) -> None:
        """Let the next groups be played while these are learnt from, where others play and the settings say so."""
        settings, now = self.config.rollout, self.state.iteration
        for iteration in range(now + 1, min(now + self.playing.staleness, self.config.iterations - 1) + 1):
            tasks = self._tasks_of(iteration, 0, settings.groups)
            self.playing.begin(tasks, settings.group_size, iteration)

    def _tasks_of(self, iteration: int, first: int, count: int) -> list[str]:
        """The tasks of an iteration's groups, from number `first` on."""
        return self._not_evaluated(self.train_tasks.take(self.extras.first_position(iteration) + first, count))

    def _filter_tasks(self, interruption: Interruption) -> None:
        """Let the first weights play every training task, and train on those that they solve now and then."""
        assert self.config.task_filter is not None, "asked only where `must_filter` says so"
        tasks = self._not_evaluated(list(self.train_tasks.tasks))
        groups, _ = self.playing.train(tasks, self.config.task_filter.episodes, FILTERING, 0, interruption)
        self.train_tasks = TaskOrder(self.extras.filter_tasks(groups), self.config.seed)

    def _not_evaluated(self, tasks: list[str]) -> list[str]:
        if not self._eval_set.isdisjoint(tasks):
            raise BadOptionError("expected training tasks that are not evaluated on, got some that are in both splits.")
        return tasks

    def _logprobs(self, samples: Sequence[Sample]) -> list[NDArray[np.float64]]:
        """Log-probabilities under the weights in hand, of samples that all ranks hold: each computes its share."""
        mine = self.ranks.share(samples)
        logprobs = [values.double().numpy() for values in self.students[0].learner.logprobs(mine)]
        parts = self.ranks.gather(dict(zip([sample.key for sample in mine], logprobs, strict=True)))
        found = {key: values for theirs in parts for key, values in theirs.items()}
        return [found[sample.key] for sample in samples]

    # -- learn ---------------------------------------------------------------------------------------------------------

    def _learn(self, credited: Sequence[Sequence[Credited]]) -> dict[str, float]:
        """Let each student learn from its own; returns what to log, and `seconds`."""
        learnt = {"seconds": 0.0}
        for student, theirs in zip(self.students, credited, strict=True):
            found = student.learn(theirs, self.state.iteration)
            learnt |= found | {"seconds": learnt["seconds"] + found["seconds"]}
        return learnt

    def _sync(self) -> float:
        """Let the policies answer with the new weights; returns the seconds it took."""
        began = time.perf_counter()
        self.playing.sync(self.state.iteration + 1)
        return time.perf_counter() - began

    # -- log -----------------------------------------------------------------------------------------------------------

    def _log(
        self,
        by_student: Sequence[Sequence[Credited]],
        played: Played,
        remembered: dict[str, float],
        learnt: dict[str, float],
        synced_s: float,
        seconds: float,
    ) -> None:
        """Write the iteration's episodes and metrics, led by the evaluation of the weights that played it."""
        credited = [one for theirs in by_student for one in theirs]
        stats, learning_s = played.stats, learnt.pop("seconds")
        tokens = sum(value for name, value in learnt.items() if name in self._token_counts)
        metrics = {
            **self.state.evaluation,
            **rollout_metrics(played.everything, stats),
            **players_metrics(played.everything, self.state.iteration),
            **played.figures,
            **credit_metrics(credited),
            **remembered,
            **learnt,
            **speed_metrics(stats, learning_s, tokens, seconds),
            "time/sync_s": synced_s,
            **self.playing.metrics(played.everything, self.state.iteration),
        }
        # Of the rank that takes most.
        metrics |= self.ranks.maxima({name: value for name, value in metrics.items() if name.startswith("memory/")})
        if self.ranks.is_main:
            if self.config.output.episodes:
                watched = [uncredited(group) for group in played.watched]
                self.log.log_episodes(episode_lines(self.state.iteration, [*credited, *watched], played.replayed))
            self.log.log(self.state.iteration, metrics)
        self._emit("on_log", logs=metrics)
        self.state.iteration += 1
        self.state.episodes += stats.episodes
        self.state.generated_tokens += stats.generated_tokens
        self.state.evaluation = {}

    # -- evaluate ------------------------------------------------------------------------------------------------------

    def _evaluate(self, interruption: Interruption) -> bool:
        """Evaluate the weights in hand on the validation tasks; returns whether they are the best so far.

        In a game of several agents the roles that do not learn are played, but not counted.
        """
        if not self.eval_tasks:
            return False
        groups = self.playing.evaluate(self.eval_tasks, interruption)
        result = summarise([group for group in groups if group.learner is not None])
        best = self.state.best_success is None or result.all.success > self.state.best_success
        if best:
            self.state.best_success, self.state.best_iteration = result.all.success, self.state.iteration
            self._write_summary(result)
        self.state.evaluation = result.metrics()
        self._emit("on_evaluate", metrics=self.state.evaluation, best=best)
        return best

    def _write_summary(self, result: Evaluation) -> None:
        """Write the evaluation of the best weights; its tasks chose them, so it is no result to report."""
        if not self.ranks.is_main:
            return
        about = {
            "env": {"id": self.config.env.id, "context": self.config.env.context, **self.config.env.settings},
            "split": self.config.evaluation.split,
            "model": {"iteration": self.state.iteration},
            "sampling": {"temperature": self.config.evaluation.temperature},
            "chosen_on_these_tasks": True,
        }
        with written_whole(self.directory / SUMMARY) as file:
            json.dump(summary(result, about), file, indent=1)

    # -- save and resume -----------------------------------------------------------------------------------------------

    def _save(self, *, best: bool) -> None:
        """Write a checkpoint of the weights in hand: rank 0 does, and each rank its pieces, if there are any."""
        students = {student.name: student.state() for student in self.students}
        earlier = self.cast.earlier.state() if self.cast.earlier is not None else State()
        states = [*students.values(), self.extras.state(), earlier]
        of_students = {name: state.values for name, state in students.items()}
        state = State(
            tensors={name: tensor for state in states for name, tensor in state.tensors.items()},
            values={
                **of_students.pop("", {}),
                "students": of_students,
                "extras": states[-2].values,
                "trainer": asdict(self.state),
            },
        )
        place, model, keep = self.directory / CHECKPOINTS, Models(self.students), self.config.output.keep
        path = save(place, self.state.iteration, state, model=model, keep=keep, best=best, ranks=self.ranks)
        if self.ranks.is_main:
            self._emit("on_save", path=path)
        self.ranks.wait()
        self._saved_at = self.state.iteration

    def _resume(self) -> None:
        """Take up the last checkpoint that is whole; without one the run starts at the beginning."""
        checkpoint = load_latest(self.directory / CHECKPOINTS, self.ranks)
        if checkpoint is None:
            return
        values, tensors = checkpoint.state.values, checkpoint.state.tensors
        for student in self.students:
            own = values["students"][student.name] if student.name else values
            student.load(checkpoint.path, replace(checkpoint.state, values=own))
        self.extras.load_state(State(tensors=tensors, values=values.get("extras", {})))
        if self.cast.earlier is not None:
            self.cast.earlier.load_state(checkpoint.state)
        if self.extras.tasks is not None:
            self.train_tasks = TaskOrder(self.extras.tasks, self.config.seed)
        self.state = TrainState(**values["trainer"])
        self._saved_at = self.state.iteration

    def _checkpoint_bytes(self) -> int:
        earlier = 0 if self.cast.earlier is None else self.cast.earlier.checkpoint_bytes
        keep = self.config.output.keep
        needs = [checkpoint_bytes(one.policy.model, keep, one.critic.checkpoint_bytes) for one in self.students]
        return sum(needs) + (keep + 2) * earlier

    def _check_directory(self, resume: bool) -> None:
        """Refuse to mix two runs in one directory, before anything is trained.

        Raises:
            BadOptionError: If there is a run in the directory already.
        """
        if not resume and holds_run(self.directory):
            raise BadOptionError(
                f"{str(self.directory)!r} holds a run already: go on with it (--resume {self.directory}), or name "
                "another output directory."
            )

    # -- beginning, end, and what phases share -------------------------------------------------------------------------

    def _begin(self) -> None:
        self.interrupted = False
        self.playing.sync(self.state.iteration)
        if self.ranks.is_main:
            report_to = self.config.output.report_to
            self.log = RunLog(self.directory, report_to, start=self.state.iteration, config=asdict(self.config))
            with written_whole(self.directory / CONFIG) as file:
                file.write(to_toml(self.config))
        self._eval_set = frozenset(self.eval_tasks)
        self._emit("on_train_begin")

    def _end(self) -> None:
        if self.ranks.is_main:
            if self.state.evaluation and not self.interrupted:
                self.log.log(self.state.iteration, self.state.evaluation)
            self.log.close()
        self._emit("on_train_end", interrupted=self.interrupted)

    def _evaluation_is_due(self) -> bool:
        """Whether the weights in hand are to be evaluated, before they play, and have not been."""
        due = self._asked("should_evaluate") or self.state.iteration % self.config.evaluation.every == 0
        return due and not self.state.evaluation

    def _save_is_due(self) -> bool:
        return self._asked("should_save") or self.state.iteration % self.save_steps == 0

    def _asked(self, request: str) -> bool:
        """Whether a callback has asked for it, on any rank; a request is granted once, but for the end of the run."""
        asked = self.ranks.any(getattr(self.control, request))
        setattr(self.control, request, asked and request == "should_training_stop")
        return asked

    def _emit(self, event: str, **details: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self.config, self.state, self.control, is_main=self.ranks.is_main, **details)
