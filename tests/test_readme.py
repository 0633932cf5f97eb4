"""README says what is true: its Python runs, its options exist."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from aevb.cli.app import app
from tests import pieces

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("aevb ")
]


def test_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(block, names)
    assert names["x"].shape == (10, 1, 8, 8)
    assert "tensor" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str) -> None:
    """Parsed as typed, not run."""
    app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)


def test_the_tables_of_pieces_are_those_of_the_registry() -> None:
    """`python -m tests.pieces` writes them."""
    assert pieces.page() == (ROOT / "docs" / "pieces.md").read_text(encoding="utf-8")


def test_two_commands_start_from_a_bare_clone() -> None:
    setups = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(setups) == 2
    assert "aevb train" in setups[0]
    assert "pytest" in setups[1]
