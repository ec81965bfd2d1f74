"""The verbs `list` and `methods` of the command line: what there is."""

from dataclasses import dataclass

from rich.console import Console


@dataclass(frozen=True, kw_only=True)
class ListEnvs:
    """Show the environments: their splits, how many tasks each has, their engines and settings."""

    def run(self, console: Console) -> int:
        """Print the table."""
        from trainers.env_table import env_table
        from trainers.tables import show_table

        show_table(console, env_table())
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
