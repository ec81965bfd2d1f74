"""The README says what is there."""

import re
from pathlib import Path

import gymnasium as gym

import agent_gym  # noqa: F401  (registers the environments)


def tree_entries(readme: str) -> list[tuple[str, str]]:
    """(path, annotation) of each line of the annotated tree; two spaces are one level, and folders end in a slash."""
    block = re.search(r"^```text\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    assert block, "expected a ```text block with the annotated tree"
    entries: list[tuple[str, str]] = []
    folders: list[str] = []
    for line in block.group(1).splitlines():
        match = re.fullmatch(r"((?:  )*)(\S+)(?:\s{2,}(\S.*))?", line)
        assert match, f"expected '  name  annotation', got {line!r}"
        depth = len(match.group(1)) // 2
        del folders[depth:]
        entries.append(("".join(folders) + match.group(2), match.group(3) or ""))
        if match.group(2).endswith("/"):
            folders.append(match.group(2))
    return entries


def test_tree_names_only_what_exists_and_says_what_it_is(root: Path) -> None:
    for path, annotation in tree_entries((root / "README.md").read_text(encoding="utf-8")):
        there = (root / path).is_dir() if path.endswith("/") else (root / path).is_file()
        assert there, f"the README's tree names {path}, which is not there"
        assert annotation, f"the README's tree says nothing about {path}"


def test_tree_leaves_no_module_out(root: Path) -> None:
    """Every module of the packages stands in the tree, itself or by a folder that is not opened further."""
    listed = {path for path, _ in tree_entries((root / "README.md").read_text(encoding="utf-8"))}
    opened = {parent for path in listed for parent in _parents(path)}
    for folder in ("agent_gym", "trainers", "wrappers", "examples", "benchmarks", "docs"):
        for path in sorted((root / folder).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.suffix not in {".py", ".md"} or path.name == "__init__.py":
                continue
            closed = [parent for parent in _parents(name) if parent in listed - opened]
            assert name in listed or closed, f"{name} is missing from the README's tree"


def _parents(path: str) -> list[str]:
    parts = path.rstrip("/").split("/")[:-1]
    return ["/".join(parts[: depth + 1]) + "/" for depth in range(len(parts))]


def test_every_registered_environment_is_in_the_table(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    registered = {name for name in gym.registry if name.startswith("AgentGym/")}
    assert registered
    named = set(re.findall(r"^\| `(AgentGym/[\w-]+)` \|", readme, re.MULTILINE))
    assert named == registered


def test_python_snippets_run(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    assert snippets
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), {})


def test_relative_links_lead_somewhere(root: Path) -> None:
    for page in [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not target.startswith("mailto:"):
                assert (page.parent / target).exists(), f"{page.relative_to(root)} links to {target}"
