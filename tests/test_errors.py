"""Messages name options as the user writes them."""

import os
import re
from pathlib import Path

import pytest

import aevb
from aevb import errors
from aevb.errors import BadInput, in_command, option

PARTS_FOR_COMMANDS = ("cli", "reproduction", "diagnosis", "report", "explorer")
"""Packages that show commands to people."""


@pytest.mark.parametrize(
    ("arguments", "key", "command", "python"),
    [
        (("model.latent",), None, "--model.latent", "latent"),
        (("train.batch-size", 20), None, "--train.batch-size 20", "batch_size=20"),
        (("model.prior", "vamp"), None, "--model.prior vamp", "prior='vamp'"),
        (("model.hidden", (300, 100)), None, "--model.hidden 300 100", "hidden=(300, 100)"),
        (("data.missing", ["?"]), None, "--data.missing ?", "missing=['?']"),
        (("data.column-types", "none"), "a b", "--data.column-types.a b none", "column_types={'a b': 'none'}"),
        (("condition",), "label", "--condition.label", "condition={'label': ...}"),
    ],
)
def test_an_option_is_written_as_in_a_command_or_as_in_python(
    arguments: tuple[str, object], key: str | None, command: str, python: str
) -> None:
    assert option(*arguments, key=key) == python
    with in_command():
        assert option(*arguments, key=key) == command
    assert option(*arguments, key=key) == python
    assert errors.IN_COMMAND not in os.environ


def test_messages_in_python_have_no_options_of_commands() -> None:
    """In the text of the package, an option of a command stands only where it is made for both, or in a docstring."""
    found = []
    for path in Path(errors.__file__).parent.rglob("*.py"):
        if path.parts[-2] in PARTS_FOR_COMMANDS or path.name in ("sharing.py", "loggers.py", "schema.py"):
            continue
        text = re.sub(r'""".*?"""|#[^\n]*', "", path.read_text(), flags=re.S)
        found += [(path.name, match) for match in re.findall(r"(?<!aevb train )--[a-z]+[.a-z-]*", text)]
    assert not found


def test_the_advice_of_a_message_works(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("age\n" + "".join(f"{row if row % 5 else '?'}\n" for row in range(40)))
    with pytest.raises(BadInput) as refusal:
        aevb.load_data(tmp_path / "t.csv")
    advice = re.search(r"missing=\['\?'\]", str(refusal.value))
    assert advice
    assert aevb.load_data(tmp_path / "t.csv", missing=["?"]).columns[0].kind == "integer"
