"""The verbs `list` and `methods` of the command line: what there is."""

from dataclasses import dataclass
from typing import Annotated

import tyro
from rich.console import Console


@dataclass(frozen=True, kw_only=True)
class ListEnvs:
    """Show the environments, or of one its splits, settings and tasks."""

    env_id: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ID")] = ""
    """Environment or game to tell more of; by default all are listed."""
    split: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Split whose tasks to name, one per line."""

    def run(self, console: Console) -> int:
        """Print the table, or what there is to know of one."""
        from agent_gym.errors import BadOptionError
        from agent_gym.multi_agent.games import is_game, load_game
        from trainers.env_ids import check_id, full_id

        if not self.env_id:
            from trainers.env_table import show_envs

            if self.split is not None:
                raise BadOptionError("--split must follow an environment: agent-gym list ID --split NAME.")
            show_envs(console)
            return 0
        from trainers.env_details import show_env, show_tasks

        name = full_id(self.env_id)
        if is_game(name):
            load_game(name)
        else:
            check_id(name)
        if self.split is None:
            show_env(console, name)
        else:
            show_tasks(console, Console(stderr=True), name, self.split)
        return 0


@dataclass(frozen=True, kw_only=True)
class ListMethods:
    """Show the published methods that `train --method` takes: what each fills, what it is for, and whose it is."""

    def run(self, console: Console) -> int:
        """Print one after the other."""
        from trainers.methods import load_method, method_names

        for name in method_names():
            method = load_method(name)
            about = method.about
            console.print(f"{name}: {about['title']}, {about['source']}", style="bold", highlight=False, markup=False)
            for line in (method.slots, about["helps"], *([f"Needs {about['needs']}"] if "needs" in about else [])):
                console.print(f"    {line}", highlight=False, markup=False, soft_wrap=True)
        return 0
