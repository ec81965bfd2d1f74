"""PPO's critic: V in front of every action token (Schulman et al., 2017; arXiv 1707.06347).

    V(token) = w · h + b         h: the last hidden state in front of the token, normalised, divided by its width

The head reads the same position that the token's logits are made from, so a value knows what the policy knew. Three
things can be read there:

    shared   the policy's hidden states, detached: they cost one pass without gradient and keep being the policy's. What
             they do not tell apart the head can't either, and they move under it while the policy learns.
    own      a copy of the model that learns with the head. Of a model with an adapter only the adapter is copied, the
             frozen weights are the same memory.
    a table  of the tabular policy the "hidden state" is the number of the state, and V one number for each.

Weights of the head start at zero: V = 0 everywhere, so the first update is REINFORCE without a baseline. With
`warmup_iterations` the policy waits until there is something better. The head is no part of the model and is never
saved with it: what peft or vLLM load from a checkpoint is the plain model or adapter.

The critic is taught before the policy is, from the hidden states that the values were computed from; with a shared
trunk these are computed once per update and kept, 4 bytes times the model's width per taught token.
"""

import copy
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from trainers.checkpoint import State
from trainers.critics.lesson import Floats, Lesson
from trainers.critics.settings import CriticSettings
from trainers.logprobs import Batch, action_hidden, before_actions, choose_precision, least_saved, make_batch
from trainers.losses.value import value_loss
from trainers.minibatches import cut_minibatches
from trainers.optimiser import Optimiser
from trainers.parallel import Ranks
from trainers.policies.tabular import TabularModel
from trainers.samples import Context, Sample, build_samples, split_by_prompt
from trainers.settings import LearnerSettings
from trainers.types import Completion, Episode, Group, Turn

Key = tuple[int, int, int]
_STREAM = 7
"""Keeps the critic's shuffles apart from the learner's."""


class LinearHead(nn.Module):
    """Hidden states to values. Zero at the start; its one rate means the same for models of any width."""

    def __init__(self, width: int, device: torch.device) -> None:
        super().__init__()
        self.linear = skip_init(nn.Linear, width, 1, device=device, dtype=torch.float32)  # type: ignore[no-untyped-call]
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden_nh: Tensor) -> Tensor:
        """Values, shape (N,), of hidden states of shape (N, H)."""
        # Adam moves each weight by the rate, so the value by the rate times Σ|h|: held at about 1.
        width = hidden_nh.shape[-1]
        values_n1: Tensor = self.linear(nn.functional.layer_norm(hidden_nh.float(), (width,)) / width)
        return values_n1[:, 0]


class TableHead(nn.Module):
    """A value for each state of a tabular policy, 0 at the start."""

    def __init__(self, states: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(states))

    def forward(self, state_n: Tensor) -> Tensor:
        """Values, shape (N,), of the states with these numbers."""
        return self.values[state_n]


class Critic:
    """Says what is still to come in front of each token, and learns it.

    Args:
        model: The policy's model, as the learner trains it in place; whole, whatever the learner cuts into pieces.
        settings: Of the critic.
        learner: Size and precision of passes are those of the learner.
        ranks: The processes among which the batch is shared.
        seed: Of the shuffles.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: CriticSettings | None = None,
        learner: LearnerSettings | None = None,
        *,
        ranks: Ranks | None = None,
        seed: int = 0,
    ) -> None:
        self.settings = settings or CriticSettings()
        self.ranks = ranks or Ranks()
        self.seed = seed
        self.updates = 0
        self.device = next(model.parameters()).device
        learner = learner or LearnerSettings()
        self._tokens = learner.tokens_per_micro_batch
        self._table = isinstance(model, TabularModel)
        self._own = self.settings.trunk == "own" and not self._table
        if self._own and learner.sharding != "none":
            raise ValueError(
                f'expected critic.trunk = "shared" with learner.sharding = "{learner.sharding}": a critic\'s own model '
                "is not cut into pieces"
            )
        self.trunk = _copy_trained(model) if self._own else model
        self._autocast = choose_precision(self.trunk, learner.precision)
        self._least_saved = least_saved(self.trunk)
        self.head: nn.Module = (
            TableHead(model.settings.states).to(self.device)
            if isinstance(model, TabularModel)
            else LinearHead(head_width(model), self.device)
        )
        self._parts = {"head": self._optimiser(self.head, learner, self.settings.learning_rate)}
        if self._own:
            self._parts["trunk"] = self._optimiser(self.trunk, learner, self.settings.trunk_learning_rate)

    # -- what is called ------------------------------------------------------------------------------------------------

    @property
    def checkpoint_bytes(self) -> int:
        """What it takes of a checkpoint: the weights that it trains, and two averages for each, in float32."""
        trained = [self.head, self.trunk] if self._own else [self.head]
        return 12 * sum(p.numel() for part in trained for p in part.parameters() if p.requires_grad)

    def values(self, groups: Sequence[Group], context: Context) -> tuple[Floats, Floats]:
        """Values of a batch that all ranks hold: each computes its share, and gets them all.

        Returns:
            In front of every action token, in the order of `TokenBatch`, shape (N,); and of what would have come after
            the last turn of each episode that was cut, 0 for the others, shape (E,). Where there was no room for a
            prompt after the last turn it is the value in front of the last token.
        """
        longer = [_with_next(group) for group in groups]
        samples = build_samples(longer, None, context)
        samples.sort(key=lambda sample: sample.key)
        parts = self.ranks.gather(self._values_of(self.ranks.share(samples)))
        found = {key: values for theirs in parts for key, values in theirs.items()}
        all_n = np.concatenate([np.zeros(0), *(found[sample.key] for sample in samples)])
        episodes = [episode for group in groups for episode in group.episodes]
        sizes = [[len(turn.completion.token_ids) for turn in episode.turns] for episode in episodes]
        own_n = np.ones(len(all_n), dtype=np.bool_)
        last_e = np.zeros(len(episodes))
        end = 0
        for number, episode in enumerate(episodes):
            end += sum(sizes[number]) + bool(episode.next_ids)
            if episode.status == "cut" and (episode.next_ids or any(sizes[number])):
                last_e[number] = all_n[end - 1]
            if episode.next_ids:
                own_n[end - 1] = False
        return all_n[own_n], last_e

    def assess(self, groups: Sequence[Group], context: Context) -> dict[str, Floats]:
        """The same by name."""
        values_n, last_values_e = self.values(groups, context)
        return {"values": values_n, "last_values": last_values_e}

    def update(self, samples: Sequence[Sample], lessons: Mapping[Key, Lesson]) -> dict[str, float]:
        """Learn the targets; each rank has its share of the samples. Returns metrics over all ranks.

        Args:
            samples: What `lessons` speak of.
            lessons: Values and targets by sample.

        Raises:
            FloatingPointError: If a gradient is not finite.
        """
        started = time.perf_counter()
        settings = self.settings
        kept = {} if self._own else self._features_of(samples, lessons)
        losses, clipped, tokens, norms = 0.0, 0.0, 0.0, []
        cut = cut_minibatches(
            samples, self.ranks, settings.epochs, lambda _: settings.minibatches, (self.seed, self.updates, _STREAM)
        )
        for minibatch in cut:
            taught = self.ranks.sums({"taught": float(sum(lessons[one.key].taught_n.sum() for one in minibatch))})[
                "taught"
            ]
            if not taught:
                continue
            for part in self._parts.values():
                part.clear()
            for values_n, lesson in self._passes(minibatch, lessons, kept):
                old_n, targets_n = (self._tensor(array) for array in (lesson.values_n, lesson.targets_n))
                loss = value_loss(values_n, old_n, targets_n, settings.value_clip).sum() / taught
                loss.backward()  # type: ignore[no-untyped-call]  # torch and transformers leave it untyped
                for part in self._parts.values():
                    part.collect()
                losses += float(loss.detach())
                if settings.value_clip is not None:
                    clipped += float(((values_n.detach() - old_n).abs() > settings.value_clip).sum())
            tokens += taught
            norms.append(self._parts["head"].step(settings.learning_rate, self.ranks))
            if self._own:
                self._parts["trunk"].step(settings.trunk_learning_rate, self.ranks)
        self.updates += 1
        everyones = self.ranks.sums({"loss": losses, "clipped": clipped})
        seconds = self.ranks.maxima({"seconds": time.perf_counter() - started})["seconds"]
        if not norms:
            return {"seconds": seconds}
        return {
            "seconds": seconds,
            "loss": everyones["loss"] / len(norms),
            "clip_fraction": everyones["clipped"] / tokens,
            "grad_norm": sum(norms) / len(norms),
        }

    def state(self) -> State:
        """What a checkpoint keeps: the head, an own trunk's trained weights, and their averages; names in `critic.`."""
        tensors = {f"critic.head.{name}": value for name, value in self.head.state_dict().items()}
        if self._own:
            tensors |= {f"critic.trunk.{name}": p.detach() for name, p in _trained(self.trunk).items()}
        for place, part in self._parts.items():
            tensors |= {f"critic.{place}.{name}": value for name, value in part.state().items()}
        return State(tensors=tensors, values={"updates": self.updates})

    def load_state(self, state: State) -> None:
        """Continue where `state` was taken; what has other names in it is not for the critic.

        Raises:
            ValueError: If it is the state of another critic, or of a run without one.
        """
        weights = {"head": dict(self.head.named_parameters())}
        if self._own:
            weights["trunk"] = _trained(self.trunk)
        with torch.no_grad():
            for place, named in weights.items():
                prefix = f"critic.{place}."
                stored = {n.removeprefix(prefix): t for n, t in state.tensors.items() if n.startswith(prefix)}
                for name, weight in named.items():
                    if name not in stored or stored[name].shape != weight.shape:
                        raise ValueError(
                            f"expected a checkpoint with the critic's {place} {name} of shape {tuple(weight.shape)}, "
                            "got none: resume with the settings of the run"
                        )
                    weight.copy_(stored[name])
                self._parts[place].load_state(stored)
        self.updates = state.values["updates"]

    # -- passes --------------------------------------------------------------------------------------------------------

    def _passes(
        self, minibatch: Sequence[Sample], lessons: Mapping[Key, Lesson], kept: Mapping[Key, Tensor]
    ) -> Iterator[tuple[Tensor, Lesson]]:
        """Values with gradient at taught tokens, and the lesson of these tokens."""
        if not self._own:
            if minibatch:
                yield (
                    self.head(torch.cat([kept[one.key] for one in minibatch]).to(self.device)),
                    _taught([lessons[one.key] for one in minibatch]),
                )
            return
        for part in split_by_prompt(minibatch, self._tokens, self._least_saved):
            batch = make_batch(part, self.device, least_saved=self._least_saved)
            with self._autocast():
                hidden_nh = action_hidden(self.trunk, batch)
            taught_n = torch.from_numpy(np.concatenate([lessons[one.key].taught_n for one in part])).to(self.device)
            yield self.head(hidden_nh[taught_n]), _taught([lessons[one.key] for one in part])

    @torch.no_grad()
    def _features_of(self, samples: Sequence[Sample], lessons: Mapping[Key, Lesson] | None) -> dict[Key, Tensor]:
        """What the head reads, by sample, on the CPU: at taught tokens, or without lessons at all tokens."""
        found: dict[Key, Tensor] = {}
        for part in split_by_prompt(samples, self._tokens, self._least_saved):
            batch = make_batch(part, self.device, least_saved=self._least_saved)
            features = self._read(batch).cpu()
            lengths = [int(one.action_mask.sum()) for one in part]
            for sample, mine in zip(part, torch.split(features, lengths), strict=True):
                found[sample.key] = mine if lessons is None else mine[torch.from_numpy(lessons[sample.key].taught_n)]
        return found

    def _read(self, batch: Batch) -> Tensor:
        if isinstance(self.trunk, TabularModel):
            return (batch.ids_bt[before_actions(batch)] - self.trunk.settings.commands).clamp(min=0)
        with self._autocast():
            return action_hidden(self.trunk, batch).float()

    @torch.no_grad()
    def _values_of(self, samples: Sequence[Sample]) -> dict[Key, Floats]:
        features = self._features_of(samples, None)
        return {key: self.head(mine.to(self.device)).double().cpu().numpy() for key, mine in features.items()}

    def _tensor(self, array: Floats) -> Tensor:
        return torch.from_numpy(array).to(device=self.device, dtype=torch.float32)

    def _optimiser(self, module: nn.Module, learner: LearnerSettings, rate: float) -> Optimiser:
        settings = replace(
            learner,
            optimiser="adamw",
            sharding="none",
            learning_rate=rate,
            weight_decay=0.0,
            max_grad_norm=self.settings.max_grad_norm,
        )
        return Optimiser(_trained(module), settings)


def lessons_by_sample(samples: Sequence[Sample], lesson: Lesson) -> dict[Key, Lesson]:
    """Cut a batch's lesson into the samples' own; the samples are all there are, in the order of the batch."""
    parts = lesson.cut([int(sample.action_mask.sum()) for sample in samples])
    return {sample.key: part for sample, part in zip(samples, parts, strict=True)}


def _taught(lessons: Sequence[Lesson]) -> Lesson:
    """The taught tokens of several lessons, end to end."""
    taught = [one.taught_n for one in lessons]
    values_n, targets_n = (
        np.concatenate([array[mask] for array, mask in zip(arrays, taught, strict=True)])
        for arrays in ([one.values_n for one in lessons], [one.targets_n for one in lessons])
    )
    return Lesson(values_n=values_n, targets_n=targets_n, taught_n=np.ones(len(values_n), dtype=np.bool_))


def _with_next(group: Group) -> Group:
    """The group with one more turn, of one token that means nothing, where something would have been shown next."""
    return replace(group, episodes=tuple(map(_longer, group.episodes)))


def _longer(episode: Episode) -> Episode:
    if not episode.next_ids:
        return episode
    nothing = Completion(prompt_ids=episode.next_ids, token_ids=(0,), logprobs=(0.0,))
    return replace(episode, turns=(*episode.turns, Turn(completion=nothing, state_key="", reward=0.0)))


def _copy_trained(model: nn.Module) -> nn.Module:
    """A copy of a model that shares the weights that are frozen."""
    frozen = {id(p): p for p in model.parameters() if not p.requires_grad}
    return copy.deepcopy(model, frozen).eval()  # its memo, by id


def _trained(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def head_width(model: nn.Module) -> int:
    """Width of the last hidden states: what the output layer takes in."""
    get_head = getattr(model, "get_output_embeddings", None)
    head = get_head() if get_head is not None else None
    weight = getattr(head, "weight", None)
    if weight is None:
        raise ValueError(f"expected a language model with an output layer, got {type(model).__name__}")
    return int(weight.shape[1])
