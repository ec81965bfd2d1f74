"""Our estimators in verl (HybridFlow, arXiv 2409.19256): registered under names that its configuration takes.

    import trainers.verl_adapter as ours
    ours.register_all()                 # then algorithm.adv_estimator=agent_gym_rloo

verl's rows are episodes: prompt, then the tokens of all answers with what the environment said between them, which
`response_mask` leaves out; `uid` tells the group. A run of ones in the mask is a turn. Rewards stand at tokens; what
stands at a token of the environment belongs to the answer before it.

verl hands a registered estimator rewards, mask and groups, and nothing else. So by its name one can have the estimators
that compare episodes. For those that compare *states* (GiGPO, HGPO) or need a critic's values, `advantages` takes these
too: call it where a trainer of your own computes advantages and has them.

Where a group's episodes all earn the same ours give 0 exactly, where verl's float32 may not, and a group of one teaches
nothing unless the estimator's `singletons` says "return", as verl does it.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agent_gym.errors import MissingExtraError
from trainers.assign import assign_batch
from trainers.credit import CreditEstimator, DrGrpo, Grpo, GrpoPassK, Opo, ReinforcePlusPlus, Rloo, TokenCredit
from trainers.types import Completion, Episode, Group, Turn

PREFIX = "agent_gym_"
OUTCOME_ESTIMATORS: dict[str, CreditEstimator | TokenCredit] = {
    "grpo": Grpo(),
    "dr_grpo": DrGrpo(),
    "rloo": Rloo(),
    "opo": Opo(),
    "grpo_passk": GrpoPassK(),
    "reinforce_plus_plus": ReinforcePlusPlus(),
    "reinforce_plus_plus_baseline": ReinforcePlusPlus(baseline="group"),
}
"""What needs no more than verl tells, by the name that follows `PREFIX`."""


def register_all() -> list[str]:
    """Register `OUTCOME_ESTIMATORS` with verl; returns the names for `algorithm.adv_estimator`.

    Raises:
        MissingExtraError: If verl is not installed.
    """
    return [register(PREFIX + name, credit) for name, credit in OUTCOME_ESTIMATORS.items()]


def register(name: str, credit: CreditEstimator | TokenCredit) -> str:
    """Register an estimator with settings of your own, under a name that is still free, or has it already.

    Raises:
        MissingExtraError: If verl is not installed.
        ValueError: If it needs what verl does not hand over.
    """
    if any(getattr(credit, need, False) for need in ("needs_values", "needs_action_values", "needs_reference")):
        raise ValueError(
            f"expected an estimator of rewards alone, got {type(credit).__name__}: verl hands over no more"
        )
    try:
        from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, register_adv_est
    except ImportError as error:
        raise MissingExtraError(f"the adapter needs verl: pip install 'agent-gym[verl]' ({error}).") from error

    if getattr(ADV_ESTIMATOR_REGISTRY.get(name), "credit", None) == credit:
        return name

    def estimate(
        token_level_rewards: Tensor, response_mask: Tensor, index: Any = None, config: Any = None, **_: Any
    ) -> tuple[Tensor, Tensor]:
        return advantages(credit, token_level_rewards, response_mask, index)

    estimate.credit = credit  # type: ignore[attr-defined]  # to know it again
    register_adv_est(name)(estimate)
    return name


def advantages(
    credit: CreditEstimator | TokenCredit,
    rewards_bl: Tensor,
    mask_bl: Tensor,
    index: Sequence[Any] | None = None,
    *,
    states: Sequence[Sequence[str]] | None = None,
    values_bl: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Advantages and returns as verl has them: two tensors of shape (B, L), zero off the action tokens.

    Args:
        credit: The estimator.
        rewards_bl: Rewards at tokens (`token_level_rewards`).
        mask_bl: 1 at the tokens that the policy sampled (`response_mask`).
        index: Group of each row (`uid`); by default all rows are one group.
        states: For each row the key of the state that each of its turns was taken in.
        values_bl: A critic's values in front of the tokens, for an estimator that asks for them.

    Returns:
        Advantages, and what a critic is to learn; where nothing is, the advantages again.

    Raises:
        ValueError: If a row has another number of states than turns.
    """
    mask = mask_bl.detach().cpu().numpy().astype(bool)
    rewards = rewards_bl.detach().cpu().double().numpy()
    names = [0] * len(mask) if index is None else [str(one) for one in index]
    rows_of: dict[Any, list[int]] = {}
    for row, name in enumerate(names):
        rows_of.setdefault(name, []).append(row)
    groups = [
        Group(
            task=str(name),
            episodes=tuple(_episode(rewards[row], mask[row], None if states is None else states[row]) for row in rows),
        )
        for name, rows in rows_of.items()
    ]
    order = [row for rows in rows_of.values() for row in rows]
    values = None if values_bl is None else values_bl.detach().cpu().double().numpy()

    def assess(*_: Any) -> dict[str, NDArray[np.float64]]:
        return {} if values is None else {"values": np.concatenate([values[row][mask[row]] for row in order])}

    found = assign_batch(credit, groups, assess=assess)
    result, returns = (np.zeros(mask.shape) for _ in range(2))
    rows_left = iter(order)
    for one in found:
        per_episode = zip(one.group.episodes, one.advantages, strict=True)
        by_turn = one.token_advantages or [_over_tokens(*both) for both in per_episode]
        targets = iter(() if one.lesson is None else one.lesson.targets_n)
        for episode in by_turn:
            row = next(rows_left)
            result[row][mask[row]] = np.concatenate([np.zeros(0), *episode])
            if one.lesson is not None:
                returns[row][mask[row]] = list(itertools.islice(targets, int(mask[row].sum())))
    told = torch.from_numpy(result).to(rewards_bl)
    return told, (torch.from_numpy(returns).to(rewards_bl) if found and found[0].lesson is not None else told.clone())


def rewards_of_turns(turn_rewards: Sequence[Sequence[float]], mask_bl: Tensor) -> Tensor:
    """Rewards at tokens, for `advantages`: each turn's at the last token that was sampled in it, zero elsewhere.

    verl's own rewards have a row's sum at its end, which does for an estimator of whole episodes.

    Args:
        turn_rewards: Of each row's turns, such as `turn_scores` of `trainers.verl_loop`.
        mask_bl: 1 at the tokens that the policy sampled (`response_mask`).

    Raises:
        ValueError: If a row has another number of rewards than turns.
    """
    rewards_bl = torch.zeros(mask_bl.shape, dtype=torch.float32, device=mask_bl.device)
    for row, (rewards, mask) in enumerate(zip(turn_rewards, mask_bl.detach().cpu().numpy().astype(bool), strict=True)):
        # Read from behind, a turn begins at its last token.
        ends = [len(mask) - 1 - start for start in turn_starts(mask[::-1])][::-1]
        if len(rewards) != len(ends):
            raise ValueError(f"expected a reward for each of {len(ends)} turns, got {len(rewards)}")
        rewards_bl[row, ends] = torch.tensor(list(rewards), dtype=torch.float32, device=mask_bl.device)
    return rewards_bl


def _over_tokens(episode: Episode, advantages_t: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    tokens = [len(turn.completion.token_ids) for turn in episode.turns]
    return [np.full(count, advantage) for count, advantage in zip(tokens, advantages_t, strict=True)]


def turn_starts(mask: NDArray[np.bool_]) -> list[int]:
    """Where the runs of ones begin."""
    return np.flatnonzero(mask & ~np.concatenate(([False], mask[:-1]))).tolist()


def _episode(rewards: NDArray[np.float64], mask: NDArray[np.bool_], states: Sequence[str] | None) -> Episode:
    """A row as an episode; its tokens' ids do not matter here and are 0."""
    starts = turn_starts(mask)
    if states is not None and len(states) != len(starts):
        raise ValueError(f"expected a state for each of {len(starts)} turns, got {len(states)}")
    turns = []
    for number, (start, end) in enumerate(itertools.pairwise([*starts, len(mask)])):
        own = mask[start:end]
        count = int(own.sum())
        given = rewards[start:end][own]
        turns.append(
            Turn(
                completion=Completion(prompt_ids=(0,), token_ids=(0,) * count, logprobs=(0.0,) * count),
                state_key=f"turn {number}" if states is None else states[number],
                reward=float(rewards[start:end].sum()),
                token_rewards=tuple(given.tolist()),
            )
        )
    return Episode(turns=tuple(turns))
