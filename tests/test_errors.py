"""Messages name options as the user writes them."""

import os
import re
import shlex
from pathlib import Path

import pytest

import aevb
from aevb import errors
from aevb.cli.app import build, main, with_dotted_names, with_hyphens
from aevb.cli.settings import declare_options
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
        (("data.missing", ["?"]), None, "--data.missing '?'", "missing=['?']"),
        (("data.missing", ["-"]), None, "--data.missing -", "missing=['-']"),
        (("data.missing", ["--"]), None, "--data.missing=--", "missing=['--']"),
        (("data.missing", ["not yet"]), None, "--data.missing 'not yet'", "missing=['not yet']"),
        (("data.column-types", "none"), "a b", "'--data.column-types.a b' none", "column_types={'a b': 'none'}"),
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


@pytest.mark.parametrize("text", ["-", "?", "--", "-n", "not yet", "n.a."])
def test_the_advice_of_a_message_works_in_a_shell(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("age,n\n" + "".join(f"{row if row % 5 else text},{row % 3}\n" for row in range(60)))
    with pytest.raises(SystemExit):
        main(["train", "t.csv"])
    advice = re.search(r"pass (.*) if it means", capsys.readouterr().err)
    assert advice
    assert read_missing(shlex.split(advice[1])) == (text,)


def test_the_documented_hyphen_works() -> None:
    page = (Path(__file__).parents[1] / "docs" / "tables.md").read_text()
    documented = re.search(r"`(--data\.missing [^`]*)` adds", page)
    assert documented
    assert read_missing(shlex.split(documented[1])) == ("?", "-")
    assert read_missing(["--data.missing", "-", "?", "x", "--seed", "3"]) == ("-", "?", "x")


def read_missing(words: list[str]) -> tuple[str, ...]:
    """Return what `aevb train` takes from a command line."""
    declare_options("train")
    _, bound, _ = build().parse_args(with_hyphens(["train", "t.csv", *words]), exit_on_error=False, print_error=False)
    missing: tuple[str, ...] = bound.arguments["settings"].data.missing
    return missing


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--given.a.b", "5", "--out", "x"], ['--given={"a.b": "5"}', "--out", "x"]),
        (["--given.a.b=-", "--given.c", "-5"], ['--given={"a.b": "-", "c": "-5"}']),
        (
            ["run", "--condition.x=y.z", "--given.x.1", "a b"],
            ["run", '--condition={"x": "y.z"}', '--given={"x.1": "a b"}'],
        ),
        (
            ["--data.column-types.x", "real", "--data.column-types.x.1=none"],
            ['--data.column-types={"x": "real", "x.1": "none"}'],
        ),
        (["--given.a", "5", "--data.image-size", "3"], ["--given.a", "5", "--data.image-size", "3"]),
        (["--given.a.b", "--out", "x"], ["--given.a.b", "--out", "x"]),
        (["--given.a.b"], ["--given.a.b"]),
    ],
)
def test_dots_in_names_of_columns_are_no_levels(words: list[str], expected: list[str]) -> None:
    assert with_dotted_names(words) == expected


def test_the_advice_of_a_message_works(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("age\n" + "".join(f"{row if row % 5 else '?'}\n" for row in range(40)))
    with pytest.raises(BadInput) as refusal:
        aevb.load_data(tmp_path / "t.csv")
    advice = re.search(r"missing=\['\?'\]", str(refusal.value))
    assert advice
    assert aevb.load_data(tmp_path / "t.csv", missing=["?"]).columns[0].kind == "integer"
