"""Keys and values of many conversations in one growing buffer, one row each, kept from turn to turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from transformers import Cache

_FIRST_ROWS: Final = 8
_FIRST_COLUMNS: Final = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pass:
    """Where one forward pass over a block of tokens, shape (rows, tokens), reads and writes."""

    rows: slice | torch.Tensor
    """Rows of the buffer, in the order of the block's: a slice where they lie side by side (then nothing is copied)."""
    width: int
    """Columns that are read."""
    real: tuple[torch.Tensor, torch.Tensor] | None
    """Indices into the block of the tokens that are not padding; None if it has no padding and one token per row."""
    target: tuple[torch.Tensor, torch.Tensor]
    """Row and column of the buffer for each of those tokens."""


class RowCache(Cache):
    """A cache for transformers models in which every row has its own length.

    Column c of a row holds the token at position c of that row's text, so a row needs no left padding and never moves
    when others grow. One buffer per layer, shape (rows, heads, columns, head size), grows by doubling; a pass over
    neighbouring rows reads a view of it. What a row holds beyond its length is left over from others and masked.

        cache.make_room(rows=2, columns=12)
        ids, mask, positions = cache.plan([0, 1], [(5, 6, 7), (8,)])        # padded on the left: [5 6 7], [_ _ 8]
        logits = model(ids, attention_mask=mask, position_ids=positions, past_key_values=cache).logits[:, -1]
        cache.lengths                                                         # [3, 1]

    Attributes:
        lengths: Tokens that each row holds.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        """Start empty; `dtype` is that of the model's attention, which the mask must have too."""
        super().__init__(layers=[])
        self.lengths: list[int] = []
        self._dtype, self._device = dtype, device
        self._columns = 0
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []
        self._pass: _Pass | None = None

    def make_room(self, rows: int, columns: int) -> None:
        """Have at least this many rows and columns, keeping what is there."""
        if rows > len(self.lengths):
            more = max(rows, 2 * len(self.lengths), _FIRST_ROWS)
            self.lengths += [0] * (more - len(self.lengths))
        if columns > self._columns:
            self._columns = max(columns, 2 * self._columns, _FIRST_COLUMNS)
        self._keys = [self._grown(keys) for keys in self._keys]
        self._values = [self._grown(values) for values in self._values]

    def permute(self, moves: Sequence[tuple[int, int]]) -> None:
        """Move rows, all at once.

        Args:
            moves: Pairs (to, from). No row is moved to twice; a row may be copied to several places. What was in a row
                that is moved to and not from is lost.
        """
        if not moves:
            return
        lengths = [self.lengths[source] for _, source in moves]
        width = max(lengths)
        if width:
            to = torch.tensor([target for target, _ in moves], device=self._device)
            source = torch.tensor([source for _, source in moves], device=self._device)
            for buffer in (*self._keys, *self._values):
                used = buffer[:, :, :width]
                used[to] = used[source]  # the right side is a copy, so it doesn't matter that they overlap
        for (target, _), length in zip(moves, lengths, strict=True):
            self.lengths[target] = length

    def plan(
        self, rows: Sequence[int], tokens: Sequence[Sequence[int]]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Prepare the next forward pass, which appends tokens to rows, and count them as held.

        Args:
            rows: Different rows.
            tokens: What to append to each, one token or more.

        Returns:
            Ids (rows, tokens) with shorter rows padded on the left, so that the last column is every row's last token;
            the additive mask (rows, 1, tokens, columns); the positions (rows, tokens).
        """
        most = max(map(len, tokens))
        begin = [self.lengths[row] for row in rows]
        ids = torch.tensor([[*[0] * (most - len(new)), *new] for new in tokens], device=self._device)
        # Negative where there is padding: such a query looks at column 0, and what comes of it is not used.
        offsets = torch.tensor(
            [start + len(new) - most for start, new in zip(begin, tokens, strict=True)], device=self._device
        )
        counted = offsets[:, None] + torch.arange(most, device=self._device)
        for row, new in zip(rows, tokens, strict=True):
            self.lengths[row] += len(new)
        width = max(self.lengths[row] for row in rows)
        rows_t = torch.tensor(rows, device=self._device)
        together = list(rows) == list(range(rows[0], rows[0] + len(rows)))
        if most == 1:
            real, target = None, (rows_t, counted[:, 0])
        else:
            begin_t = torch.tensor(begin, device=self._device)
            block_row, block_column = (counted >= begin_t[:, None]).nonzero(as_tuple=True)
            real, target = (block_row, block_column), (rows_t[block_row], counted[block_row, block_column])
        self._pass = _Pass(
            rows=slice(rows[0], rows[0] + len(rows)) if together else rows_t, width=width, real=real, target=target
        )
        positions = counted.clamp_(min=0)
        unseen = torch.arange(width, device=self._device) > positions[:, :, None]
        mask = torch.zeros(unseen.shape, dtype=self._dtype, device=self._device)
        mask.masked_fill_(unseen, torch.finfo(self._dtype).min)
        return ids, mask[:, None], positions

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Called by the model's attention: store what is new, return all that may be attended to."""
        if layer_idx >= len(self._keys):
            assert layer_idx == len(self._keys), "layers come in order"
            self._keys.append(self._grown(key_states[:0, :, :0]))
            self._values.append(self._grown(value_states[:0, :, :0]))
        return self._store(self._keys[layer_idx], key_states), self._store(self._values[layer_idx], value_states)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return 0: lengths differ by row, and positions are given to the model."""
        return 0

    def _store(self, buffer: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        plan = self._pass
        assert plan is not None, "plan() comes before the forward pass"
        new = states[:, :, 0] if plan.real is None else states.transpose(1, 2)[plan.real]
        rows, columns = plan.target
        buffer[rows, :, columns] = new
        if isinstance(plan.rows, slice):
            return buffer[plan.rows, :, : plan.width]
        return buffer[:, :, : plan.width].index_select(0, plan.rows)

    def _grown(self, old: torch.Tensor) -> torch.Tensor:
        rows, heads, columns, size = old.shape
        if rows == len(self.lengths) and columns == self._columns:
            return old
        # Zeros and not whatever the memory holds: a masked NaN would still spread.
        new = torch.zeros(len(self.lengths), heads, self._columns, size, dtype=old.dtype, device=old.device)
        new[:rows, :, :columns] = old
        return new
