"""Makes games: a program of its own, asked in lines of JSON, so that what the engine does to a process stays here.

The engine draws from generators that are global to the process, and the order of some sets goes into what it writes. In
this process, which is started with a fixed hash seed, a game depends on its request alone.

Only the engine is imported here, and only when it is needed: the program is run by its path, whatever else is
importable, and as a module it can be imported without the engine.
"""

import json
import os
import sys
from typing import Any


def make(request: dict[str, Any]) -> None:
    """Make or compile the game of a request into its directory, as game.json and game.z8."""
    import textworld
    from textworld.challenges import CHALLENGES
    from textworld.generator import compile_game
    from textworld.generator.game import Game, GameOptions

    options = GameOptions()
    options.path = os.path.join(request["into"], "game.z8")
    options.force_recompile = True
    if "file" in request:
        compile_game(Game.load(request["file"]), options)
    else:
        settings = dict(request["settings"])
        goal = settings.pop("goal", "detailed") if request["challenge"] != "simple" else "detailed"
        textworld.g_rng.set_seed(request["seed"])
        options.seeds = request["seed"]
        options.grammar.only_last_action = goal != "detailed"
        _, challenge, _ = CHALLENGES["tw-" + request["challenge"].replace("-", "_")]
        game = challenge(settings, options)
        if goal == "none":
            game.objective = ""
        compile_game(game, options)
    os.remove(os.path.join(request["into"], "game.ni"))


def main() -> None:
    """Answer one line per request; the engine's own words go to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        try:
            make(json.loads(line))
            answer: dict[str, Any] = {}
        except Exception as error:  # noqa: BLE001  whatever is wrong with a file or a request is said by who asked
            told = f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
            answer = {"error": told, "again": type(error).__name__ == "QuestGenerationError"}
        try:
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
        except BrokenPipeError:  # who asked has gone
            os._exit(0)


if __name__ == "__main__":
    main()
