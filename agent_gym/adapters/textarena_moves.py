"""Which moves there may be in TextArena's games, by the class of the game.

TextArena itself tells none. Functions here take a game and return moves as its player gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice, permutations, product
from typing import Any, Final

Moves = Callable[[Any], list[str]]

_FOUR: Final = ("[down]", "[left]", "[right]", "[up]")
_MOST: Final = 1_000
"""Codes of Mastermind that are listed; in its hardest form there are three million."""


def _edges(game: Any) -> list[str]:
    lying = [f"[h {row} {column}]" for row in range(game.R + 1) for column in range(game.C)]
    return lying + [f"[v {row} {column}]" for row in range(game.R) for column in range(game.C + 1)]


def _marks(game: Any) -> list[str]:
    cells = {(row, column) for grid in game.game_board.values() for row, columns in grid.items() for column in columns}
    return [f"[{row} {column} {mark}]" for row, column in sorted(cells) for mark in "OX"]


def _sums(game: Any) -> list[str]:
    places = permutations(range(len(game.numbers)), 2)
    return [f"[{one} {other} {sign}]" for one, other in places for sign in "+-*/"]


TRIED: Final[Mapping[str, Moves]] = {
    "BanditEnv": lambda game: [f"[{name}]" for name in game.buttons],
    "BlackjackEnv": lambda game: ["[Hit]", "[Stand]"],
    "CountdownEnv": _sums,
    "CryptarithmEnv": lambda game: [f"[{letter} {digit}]" for letter in sorted(game.letters) for digit in range(10)],
    "FifteenPuzzleEnv": lambda game: list(_FOUR),
    "FrozenLakeEnv": lambda game: list(_FOUR),
    "Game2048Env": lambda game: list(_FOUR),
    "GuessTheNumberEnv": lambda game: [f"[{n}]" for n in range(game.min_number, game.max_number + 1)],
    "LightsOutEnv": lambda game: [f"[{row} {column}]" for row in range(game.size) for column in range(game.size)],
    "LogicPuzzleEnv": _marks,
    "PegJumpEnv": lambda game: sorted({f"[{start} {end}]" for start, _, end in game.ALLOWED_MOVES}),
    "RushHourEnv": lambda game: [f"[{car}{way}]" for car in sorted(game.state.game_state["vehicles"]) for way in "+-"],
    "SecretaryEnv": lambda game: ["[accept]", "[continue]"],
    "SlitherlinkEnv": _edges,
    "SokobanEnv": lambda game: list(_FOUR),
    "ThreeCardMonteEnv": lambda game: [f"[{cup}]" for cup in range(game.num_cups)],
    "TowerOfHanoiEnv": lambda game: [f"[{a} {b}]" for a in "ABC" for b in "ABC" if a != b],
}
"""Of these games all moves. Which are possible is found by trying each on a copy: that tells nothing which its player
does not see."""


def _codes(game: Any) -> list[str]:
    digits, length = range(1, game.num_numbers + 1), game.code_length
    every = product(digits, repeat=length) if game.duplicate_numbers else permutations(digits, length)
    guessed = {tuple(one["guess"]) for one in game.state.game_state["history"]}
    return [f"[{' '.join(map(str, code))}]" for code in islice(every, _MOST) if code not in guessed]


def _digits(game: Any) -> list[str]:
    board = game.state.game_state["board"]
    empty = [(row, column) for row, line in enumerate(board, 1) for column, digit in enumerate(line, 1) if not digit]
    return [f"[{row} {column} {digit}]" for row, column in empty[:1] for digit in range(1, 10)]


def _letters(game: Any) -> list[str]:
    board = game.state.game_state["board"]
    empty = [(row, column) for row, line in enumerate(board) for column, sign in enumerate(line) if sign == "_"]
    return [f"[{row} {column} {letter}]" for row, column in empty[:1] for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]


GUESSED: Final[Mapping[str, Moves]] = {
    "CrosswordsEnv": _letters,
    "MastermindEnv": _codes,
    "MinesweeperEnv": lambda game: [
        f"[{row} {column}]" for row in range(game.rows) for column in range(game.cols) if not game.revealed[row][column]
    ],
    "SudokuEnv": _digits,
}
"""Of these games what may be guessed, of Sudoku and crosswords for the next empty cell. None is tried out: but in
Mastermind a wrong guess is an invalid move to TextArena, so that trying would tell what is right."""
