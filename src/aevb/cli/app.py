"""The command `aevb`. Command modules are imported when their command runs, so that `aevb --help` is fast.

Exit status: 0 success; 1 a bug, with its traceback; 2 invalid input, in one line; 130 interrupted, with the trained
model kept.
"""

import gc
import json
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn, TextIO

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError
from pydantic_core import ValidationError

from aevb.errors import BadInput, Lost, NonFinite, Notice, in_command
from aevb.memory import keep_freed_memory
from aevb.threads import limit_to_quota

COMMANDS = {
    "train": ("train:train", "Train a model, evaluate it on held-out data, diagnose it and write a report."),
    "sweep": ("sweep:sweep", "Train every combination of values, each with several seeds, and compare them."),
    "evaluate": ("evaluate:evaluate", "Evaluate a trained model on held-out data."),
    "diagnose": ("evaluate:diagnose", "Diagnose a trained model: problems, their causes and remedies."),
    "report": ("evaluate:report", "Draw the figures of a run, diagnose it and write report.html."),
    "explore": ("export:explore", "Write an interactive page of a trained model and open it."),
    "sample": ("sample:sample", "Sample from a trained model."),
    "reconstruct": ("sample:reconstruct", "Reconstruct examples."),
    "encode": ("sample:encode", "Write the latent means of examples."),
    "score": ("tables:score", "Compute log p(x) of examples and flag anomalies."),
    "impute": ("tables:impute", "Impute the missing values of a table."),
    "quality": ("tables:quality", "Compare samples of a model, or other synthetic rows, with real rows of a table."),
    "export": ("export:export", "Export encoder and decoder as ONNX files."),
    "baseline": ("baseline:baseline", "Evaluate PCA and a Gaussian mixture on the same data."),
    "reproduce": ("reproduce:reproduce", "Reproduce published experiments."),
    "push": ("hub:push", "Upload a run to the Hugging Face hub."),
    "pull": ("hub:pull", "Download a run from the Hugging Face hub."),
}
"""Function and one-line help of each command."""
_BY_COLUMN = re.compile(
    r"(?P<option>--(?:given|condition|data\.column-types))\.(?P<name>[^=]+)(?:=(?P<value>.*))?", re.DOTALL
)
"""An option with the name of a column, and its value if it is attached."""


def build(*, summaries: bool = False) -> App:
    """Return the application.

    Args:
        summaries: give commands their one-line help, as for the list of commands; else each has the help of its module.
    """
    application = App(
        name="aevb",
        help="Variational autoencoders: train one on your data, trust its numbers, explore what it learned.",
        version=lambda: version("aevb"),
        default_parameter=Parameter(consume_multiple=True, negative=()),
        suppress_keyboard_interrupt=False,
    )
    for position, (name, (function, summary)) in enumerate(COMMANDS.items()):
        help_text = {"help": summary} if summaries else {}
        application.command(f"aevb.cli.{function}", name=name, sort_key=position, **help_text)
    return application


app = build()


@in_command()
def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal without Greek letters still shows the numbers.
            stream.reconfigure(errors="replace")
    keep_freed_memory()
    limit_to_quota()
    try:
        with warnings.catch_warnings(), _sigterm_as_ctrl_c(), _only_first_process_prints():
            warnings.showwarning = _show_warning
            if any(word.startswith("--plugin") for word in words):
                from aevb.cli.plugins import load  # imports pydantic

                load(words)
            if words[:1] in (["train"], ["sweep"]):
                from aevb.cli.settings import declare_options  # imports torch

                declare_options(words[0])
            if words[:1] and words[0] in COMMANDS:
                _import_module_of(words[0])
            command = build(summaries=not words or words[0] not in COMMANDS)
            words = with_dotted_names(with_hyphens(words))
            status = command(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        _fail(_problem(error))
    except (BadInput, NonFinite) as error:
        _fail(str(error))
    except Lost as error:
        print(f"aevb: {error}", file=sys.stderr)
        sys.exit(130)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        _fail("out of memory: use fewer importance samples, a smaller batch or a smaller model")
    except KeyboardInterrupt as error:
        if str(error):
            print(error, file=sys.stderr)
        sys.exit(130)
    sys.exit(status or 0)


def _import_module_of(command: str) -> None:
    """Import the module of a command without garbage collection, which takes a tenth of the time: nothing is freed."""
    function, _ = COMMANDS[command]
    gc.disable()
    import_module(f"aevb.cli.{function.partition(':')[0]}")
    gc.freeze()
    gc.enable()


def with_hyphens(words: Sequence[str]) -> list[str]:
    """Return words in which a hyphen is a value of the option before it: --a - ? becomes --a=- --a=?."""
    result, option, attached = list[str](), "", False
    for word in words:
        if word.startswith("-") and word != "-":
            option, attached = word.partition("=")[0], False
        elif option and (attached or word == "-"):
            if result[-1] == option:  # without a value so far
                result.pop()
            attached, word = True, f"{option}={word}"
        result.append(word)
    return result


def with_dotted_names(words: Sequence[str]) -> list[str]:
    """Return words in which options of columns are JSON where names have dots: --given.a.b 5 is --given={"a.b": "5"}.

    Each dot is otherwise a level of a mapping.
    """
    values: dict[str, dict[str, str]] = {}
    result, remaining = list[str](), list(words)
    while remaining:
        word = remaining.pop(0)
        match = _BY_COLUMN.fullmatch(word)
        if not match:
            result.append(word)
            continue
        if match["value"] is None and (not remaining or remaining[0].startswith("--")):
            return list(words)  # without a value, which is an error
        if match["option"] not in values:
            result.append(match["option"])
        value = remaining.pop(0) if match["value"] is None else match["value"]
        values.setdefault(match["option"], {})[match["name"]] = value
    if not any("." in name for by_column in values.values() for name in by_column):
        return list(words)
    return [f"{word}={json.dumps(values[word])}" if word in values else word for word in result]


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Handle SIGTERM like Ctrl-C: the trained model is kept."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _is_first_process() -> bool:
    """Return whether this is the first process of a job that torchrun started, or the only one."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def _only_first_process_prints() -> Iterator[None]:
    """Silence the other processes of a job."""
    if _is_first_process():
        yield
        return
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether memory ran out; PyTorch says so in the message on CPUs, and by the type on GPUs."""
    return isinstance(error, MemoryError) or "alloc" in str(error) or "out of memory" in str(error)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a notice of this package in one line, and other warnings as usual."""
    notice = issubclass(category, Notice)
    sys.stderr.write(f"aevb: {message}\n" if notice else warnings.formatwarning(message, category, filename, lineno))


def _problem(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        command = " ".join(error.command_chain or ["aevb"])
        return f"{command} takes no further argument: {', '.join(map(repr, error.unused_tokens))}"
    if not isinstance(error.__cause__, ValidationError):
        return str(error)
    from aevb.config.problems import describe  # imports pydantic

    return describe(error.__cause__)


def _fail(message: str) -> NoReturn:
    if _is_first_process():
        print(f"aevb: {BadInput(message)}", file=sys.stderr)
    sys.exit(2)
