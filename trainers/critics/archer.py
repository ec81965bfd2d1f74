"""ArCHer's critic: double Q and V of whole answers, learnt off-policy (Zhou et al., 2024; arXiv 2402.19446).

    Q_i(s, a) → r + γ·V̄_i(s')          V̄ = 0 where the episode ended by its own rules
    V_i(s)    → Q̄_i(s, a~π)            a fresh answer of the policy as it is
    Q̄, V̄     ← (1 − τ)·(Q̄, V̄) + τ·(Q, V)     after each step; i = 1, 2; squared errors, Adam

Q is of answers that were given, by whichever policy; only V asks what the policy would say now. So what was played
long ago is still right for Q, and the buffer is what makes the method frugal with episodes. Two of each because a
maximum over errors is an overestimate: `min` of the two is what advantages are made from. Entries of a
table have no such errors, so its two are alike; each moves part of the way to the mean of its targets.

It deviates from the released code in this: an episode that a limit cut off is not taken for one that ended, its last
turn looks ahead to what would have come. V's fresh answers are drawn once per iteration, for the turns that were just
played (their own answers are fresh) and for `fresh_states` of the buffer, not once per step. The encoder is frozen,
see `trainers.critics.encoders`.

Every rank holds the same buffer and does all of the critic's work, since the networks are small.
"""

import copy
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from trainers.checkpoint import State
from trainers.credit.archer import Archer
from trainers.critics.encoders import Encoder
from trainers.critics.lesson import Floats
from trainers.critics.turns import Shown, TurnBuffer, Turns, shown_turns
from trainers.optimiser import Optimiser
from trainers.parallel import Ranks
from trainers.samples import Context
from trainers.settings import LearnerSettings
from trainers.streams import stream
from trainers.types import Group

_TABLE_RATE = 100.0
"""An entry of a table moves by this times the networks' rate of the way to its target, at most all of it."""


class TwinTables(nn.Module):
    """Q and V of a tabular policy, twice, 0 at the start; they learn without gradients."""

    def __init__(self, states: int, commands: int) -> None:
        super().__init__()
        self.commands = commands
        self.q_table = nn.Parameter(torch.zeros(states * commands, 2), requires_grad=False)
        self.v_table = nn.Parameter(torch.zeros(states, 2), requires_grad=False)
        self.turn_part_bytes = 8
        """Of a state or an action in the buffer: its number."""

    def q(self, states: Tensor, actions: Tensor) -> Tensor:
        """Both Q of pairs, shape (B, 2)."""
        return self.q_table[self.pairs(states, actions)]

    def v(self, states: Tensor) -> Tensor:
        """Both V of states, shape (B, 2)."""
        return self.v_table[states]

    def pairs(self, states: Tensor, actions: Tensor) -> Tensor:
        """Rows of the table of Q."""
        return states * self.commands + actions


class TwinNetworks(nn.Module):
    """Q and V of vectors, twice, each with two hidden layers.

    Args:
        width: Of the vectors.
        hidden: Units of a layer.
        seed: Of the weights at the start.
    """

    def __init__(self, width: int, hidden: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.q_parts = nn.ModuleList(_network(2 * width, hidden, generator) for _ in range(2))
        self.v_parts = nn.ModuleList(_network(width, hidden, generator) for _ in range(2))
        self.turn_part_bytes = 4 * width
        """Of a state or an action in the buffer: its vector."""

    def q(self, states: Tensor, actions: Tensor) -> Tensor:
        """Both Q of pairs, shape (B, 2)."""
        both = torch.cat([states, actions], dim=1)
        return torch.cat([part(both) for part in self.q_parts], dim=1)

    def v(self, states: Tensor) -> Tensor:
        """Both V of states, shape (B, 2)."""
        return torch.cat([part(states) for part in self.v_parts], dim=1)


class ArcherCritic:
    """Keeps turns, learns Q and V from them, and says what it thinks of the turns that were just played.

    Args:
        networks: What is learnt.
        encoder: Turns ids into what the networks take.
        settings: γ, τ, sizes and rates.
        seed: Of what is drawn from the buffer.
    """

    def __init__(
        self, networks: "TwinTables | TwinNetworks", encoder: Encoder, settings: Archer, *, seed: int = 0
    ) -> None:
        self.networks = networks
        self.targets = copy.deepcopy(networks).requires_grad_(False)
        self.encoder = encoder
        self.settings = settings
        self.seed = seed
        self.updates = 0
        self.buffer = TurnBuffer(settings.capacity)
        self.metrics: dict[str, float] = {}
        self._optimiser = None
        if isinstance(networks, TwinNetworks):
            rate = LearnerSettings(learning_rate=settings.critic_rate, max_grad_norm=1.0)
            self._optimiser = Optimiser(dict(networks.named_parameters()), rate)

    # -- what is called ------------------------------------------------------------------------------------------------

    @property
    def checkpoint_bytes(self) -> int:
        """What it takes of a checkpoint at most: networks, targets and averages, and the vectors of a full buffer."""
        weights = sum(parameter.numel() for parameter in self.networks.parameters())
        copies = 2 if self._optimiser is None else 4
        return 4 * copies * weights + self.settings.capacity * (3 * self.networks.turn_part_bytes + 5)

    def assess(self, groups: Sequence[Group], context: Context) -> dict[str, Floats]:
        """Take the turns in, learn, and return min Q and min V of each turn; 0 for one without an answer.

        All ranks call it with all groups.
        """
        started = time.perf_counter()
        listed = list(shown_turns(groups, context))
        shown = [one for one in listed if one is not None]
        q_t, v_t = np.zeros(len(listed)), np.zeros(len(listed))
        if shown:
            turns = self.encoder.turns(shown)
            self._take_in(turns, shown)
            self._learn(turns)
            with torch.no_grad():
                q_n, v_n = self.networks.q(turns.states, turns.actions), self.networks.v(turns.states)
            answered = np.array([one is not None for one in listed])
            q_t[answered] = q_n.amin(dim=1).double().numpy()
            v_t[answered] = v_n.amin(dim=1).double().numpy()
            self.metrics |= {"q": float(q_t[answered].mean()), "v": float(v_t[answered].mean())}
        self.metrics |= {"turns": float(len(self.buffer)), "seconds": time.perf_counter() - started}
        return {"action_values": q_t, "state_values": v_t}

    def state(self) -> State:
        """Networks, targets, averages and the buffer; all names begin with `critic.`."""
        tensors = {f"critic.networks.{name}": value for name, value in self.networks.state_dict().items()}
        tensors |= {f"critic.targets.{name}": value for name, value in self.targets.state_dict().items()}
        if self._optimiser is not None:
            tensors |= {f"critic.{name}": value for name, value in self._optimiser.state().items()}
        tensors |= {f"critic.buffer.{name}": value for name, value in self.buffer.state().items()}
        return State(tensors=tensors, values={"updates": self.updates})

    def load_state(self, state: State) -> None:
        """Continue where `state` was taken.

        Raises:
            ValueError: If it is the state of another critic, or of a run without one.
        """

        def part(prefix: str) -> dict[str, Tensor]:
            names = (name for name in state.tensors if name.startswith(prefix))
            return {name.removeprefix(prefix): state.tensors[name] for name in names}

        try:
            self.networks.load_state_dict(part("critic.networks."))
            self.targets.load_state_dict(part("critic.targets."))
        except RuntimeError as error:
            raise ValueError(f"expected ArCHer's critic of this run in the checkpoint: {error}") from error
        if self._optimiser is not None:
            self._optimiser.load_state(part("critic."))
        self.buffer.load_state(part("critic.buffer."))
        self.updates = state.values["updates"]

    # -- learning ------------------------------------------------------------------------------------------------------

    def _take_in(self, turns: Turns, shown: Sequence[Shown]) -> None:
        kept = [place for place, one in enumerate(shown) if one.kept]
        self.buffer.add(turns[torch.tensor(kept, dtype=torch.long)], [shown[place].state for place in kept])

    def _learn(self, played: Turns) -> None:
        """Take the iteration's steps, on draws that depend on the seed and the iteration alone."""
        settings, stored = self.settings, self.buffer.turns
        rng = np.random.default_rng((self.seed, self.updates))
        asked = rng.integers(0, max(1, len(self.buffer)), settings.fresh_states if len(self.buffer) else 0)
        seed = stream(self.seed, self.updates)
        answered, answers = self.encoder.answer_anew([self.buffer.ids[place] for place in asked], seed)
        self.updates += 1
        if stored is None:  # nothing that ended or goes on has been played yet
            return
        fresh = torch.from_numpy(asked[answered])
        states = torch.cat([played.states, stored.states[fresh]])
        actions = torch.cat([played.actions, answers]) if len(fresh) else played.actions
        losses = []
        for _ in range(settings.critic_steps):
            batch = stored[torch.from_numpy(rng.integers(0, len(stored), settings.critic_batch))]
            places = torch.from_numpy(rng.integers(0, len(states), settings.critic_batch))
            losses.append(self.step(batch, states[places], actions[places]))
        q_loss, v_loss = np.mean(losses, axis=0)
        self.metrics |= {"q_loss": float(q_loss), "v_loss": float(v_loss)}

    def step(self, batch: Turns, states: Tensor, actions: Tensor) -> tuple[float, float]:
        """One step on turns for Q, and on states with fresh answers for V; returns both losses, summed over twins."""
        with torch.no_grad():
            following = self.targets.v(batch.next_states) * (~batch.done)[:, None]
            q_target = batch.rewards[:, None] + self.settings.gamma * following
            v_target = self.targets.q(states, actions)
        q_loss = (self.networks.q(batch.states, batch.actions) - q_target).square().mean(dim=0).sum()
        v_loss = (self.networks.v(states) - v_target).square().mean(dim=0).sum()
        if isinstance(self.networks, TwinTables):
            part = min(1.0, _TABLE_RATE * self.settings.critic_rate)
            _move(self.networks.q_table, self.networks.pairs(batch.states, batch.actions), q_target, part)
            _move(self.networks.v_table, states, v_target, part)
        else:
            assert self._optimiser is not None, "networks have one"
            self._optimiser.clear()
            (q_loss + v_loss).backward()  # type: ignore[no-untyped-call]  # torch and transformers leave it untyped
            self._optimiser.collect()
            self._optimiser.step(self.settings.critic_rate, Ranks())
        with torch.no_grad():
            for target, weight in zip(self.targets.parameters(), self.networks.parameters(), strict=True):
                target.lerp_(weight, self.settings.polyak)
        return float(q_loss.detach()), float(v_loss.detach())


@torch.no_grad()
def _move(table: Tensor, places: Tensor, targets: Tensor, part: float) -> None:
    """Move entries of a table a part of the way to the mean of their targets."""
    found, of_target = places.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    counts = of_target.bincount(minlength=len(found))[:, None]
    means = torch.zeros(len(found), targets.shape[1]).index_add_(0, of_target, targets) / counts
    table[found] = torch.lerp(table[found], means, part)


def _network(width: int, hidden: int, generator: torch.Generator) -> nn.Sequential:
    sizes = ((width, hidden), (hidden, hidden), (hidden, 1))
    layers: list[nn.Linear] = [skip_init(nn.Linear, *size) for size in sizes]  # type: ignore[no-untyped-call]
    for layer in layers:
        nn.init.normal_(layer.weight, std=(2 / layer.in_features) ** 0.5, generator=generator)
        nn.init.zeros_(layer.bias)
    nn.init.zeros_(layers[-1].weight)
    first, second, last = layers
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last)
