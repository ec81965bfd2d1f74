"""A policy that learns, with all that it learns by: optimiser and reference in the learner, and perhaps a critic.

A run has one, which plays every role there is, or one for each role of a game (`trainers.cast`): then each assigns
credit to its own groups alone, and keeps a directory of its own below the run's checkpoints.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from trainers.assign import Credited, Shaper, assign_batch
from trainers.checkpoint import State, load_weights
from trainers.config import TrainConfig
from trainers.credit import CreditEstimator, TokenCredit
from trainers.critics.part import CriticPart
from trainers.learner import Learner
from trainers.parallel import Ranks
from trainers.policies.base import TrainablePolicy
from trainers.samples import build_samples
from trainers.types import Group


class Models:
    """The models of students, each with its tokenizer, as what saves itself into a checkpoint.

    Args:
        students: By name; that of the only one, which is empty, has the checkpoint's directory itself.
    """

    def __init__(self, students: Iterable["Student"]) -> None:
        self._students = list(students)

    def save_pretrained(self, save_directory: str, /) -> None:
        """Write all of them."""
        for student in self._students:
            place = str(Path(save_directory) / student.name)
            student.policy.model.save_pretrained(place)
            if student.policy.tokenizer is not None:
                student.policy.tokenizer.save_pretrained(place)


class Student:
    """One of a run's policies that learn.

    Make it before a checkpoint is loaded: its reference are the weights that it is given.

    Args:
        name: Role that it plays; empty for the only one of a run.
        policy: Learns in place.
        config: How.
        ranks: The processes among which the work is shared.
    """

    def __init__(self, name: str, policy: TrainablePolicy, config: TrainConfig, ranks: Ranks) -> None:
        self.name, self.policy, self.config, self.ranks = name, policy, config, ranks
        policy.rest()  # a learner begins with copies of the whole model
        self.learner = Learner(
            policy.model,
            config.learner,
            config.loss,
            temperature=config.rollout.temperature,
            total_updates=config.iterations - config.warmup_iterations,
            ranks=ranks,
            seed=config.seed,
            keep_reference=getattr(config.credit, "needs_reference", False),
        )
        self.critic = CriticPart(config, policy, ranks)
        self._prefix = f"students/{name}/" if name else ""

    def credit(
        self, estimator: CreditEstimator | TokenCredit, groups: Sequence[Group], shapers: Sequence[Shaper]
    ) -> list[Credited]:
        """Assign credit to those of the groups that are its own; what an estimator compares is the same policy's."""
        mine = [group for group in groups if group.learner == self.name]
        context, assess = self.config.env.context, self.critic.assess
        return assign_batch(estimator, mine, shapers, context, self.learner.reference_logprobs, assess)

    def learn(self, credited: Sequence[Credited], iteration: int) -> dict[str, float]:
        """Turn credited episodes into samples, and move the weights; each rank learns from its share.

        A critic learns first, from the same hidden states that its values were computed from.

        Returns:
            What to log by its full name, and `seconds`.
        """
        samples = build_samples(
            [one.group for one in credited], [one.learnt for one in credited], self.config.env.context
        )
        # Dealt out by length, so that no rank gets all the long ones.
        samples.sort(key=lambda sample: (-len(sample), sample.key))
        self.policy.rest()
        taught = self.critic.learn(samples, credited)
        waits = iteration < self.config.warmup_iterations
        learnt = {"seconds": 0.0} if waits else self.learner.update(self.ranks.share(samples))
        self.learner.forget_gradients()
        seconds = learnt.pop("seconds") + taught.pop("seconds")
        named = {f"learner/{name}": value for name, value in learnt.items()} | taught
        return {"seconds": seconds} | {self.log_name(name): value for name, value in named.items()}

    def log_name(self, metric: str) -> str:
        """Return a metric's full name: `learner/kl` as it is for the only one, `learner/first/kl` for a role."""
        family, _, rest = metric.partition("/")
        return f"{family}/{self.name}/{rest}" if self.name else metric

    def state(self) -> State:
        """What a checkpoint keeps besides the weights; all ranks must save it."""
        learner, critic = self.learner.state(), self.critic.state()
        tensors = {self._prefix + name: tensor for name, tensor in (learner.tensors | critic.tensors).items()}
        return State(tensors=tensors, values={"learner": learner.values, "critic": critic.values})

    def load(self, directory: Path, state: State) -> None:
        """Go on from a checkpoint, on all ranks: its directory, and its whole state with this student's values.

        Raises:
            ValueError: If it is the state of another model or critic.
        """
        load_weights(self.policy.model, directory / self.name)
        tensors = {
            name.removeprefix(self._prefix): tensor
            for name, tensor in state.tensors.items()
            if name.startswith(self._prefix)
        }
        pieces = state.pieces and state.pieces.under(self._prefix)
        self.learner.load_state(State(tensors=tensors, values=state.values["learner"], pieces=pieces))
        self.critic.load_state(State(tensors=tensors, values=state.values.get("critic", {})))
