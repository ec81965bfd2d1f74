"""docs/trainer.md says what is true."""

import re
import tomllib
from pathlib import Path

import pytest

from trainers.config import config_from_table

pytest.importorskip("torch", reason="needs torch: the reference covers settings beside the learner's code")


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "trainer.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def test_reference_is_what_the_code_says(page: str) -> None:
    from tools.write_config_reference import updated

    assert page == updated(page), "run `python -m tools.write_config_reference`"


def test_every_example_of_a_file_is_a_configuration(page: str) -> None:
    examples = blocks(page, "toml")
    assert examples
    for example in examples:
        config_from_table(tomllib.loads(example))


def test_python_examples_name_what_exists(page: str) -> None:
    for example in blocks(page, "python"):
        imports = [line for line in example.splitlines() if line.startswith(("import ", "from "))]
        assert imports
        exec("\n".join(imports), {})
        compile(example, "docs/trainer.md", "exec")


def test_every_option_of_the_examples_exists(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    from trainers.cli import main

    helps: dict[str, str] = {}
    commands = [line for block in blocks(page, "sh") for line in block.splitlines()]
    assert commands
    for command in commands:
        name, verb, *words = command.partition("#")[0].split()
        assert name == "agent-gym"
        if verb not in helps:
            with pytest.raises(SystemExit):
                main([verb, "--help"])
            helps[verb] = capsys.readouterr().out
        for word in words:
            if word.startswith(("--", "credit:")):
                assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", helps[verb]), f"{command}: no {word}"
