"""Errors that a user can fix; their messages are one line."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

IN_COMMAND = "AEVB_IN_COMMAND"
"""Environment variable that is set while a command runs, so that worker processes write the same messages."""
LONGEST = 480
"""Maximum number of characters of a message."""


class BadInput(ValueError):
    """An invalid input: a file, a value, an option or a run folder.

    The message is one line that says what is wrong, what was expected and what to do. The commands print it and exit
    with status 2; every other exception is a bug and keeps its traceback. Names and values in the message may come from
    files: line breaks and control characters are replaced.
    """

    def __init__(self, message: str) -> None:
        super().__init__(shorten(printable(" ".join(message.split())), LONGEST))


class NonFinite(ArithmeticError):
    """A tensor that is not finite in training. The model has the weights of the last complete epoch."""

    def __init__(self, tensor: str, epoch: int, step: int) -> None:
        super().__init__(
            f"{tensor} is not finite at step {step} of epoch {epoch}: try a smaller {option('train.lr')} or"
            f" {option('train.clip-grad-norm', 100)}, and look for extreme values in the data"
        )


class Lost(RuntimeError):
    """The loss of another process of a distributed job. The run is at its last checkpoint."""


class Notice(UserWarning):
    """A warning that aevb uses another method than requested, with the same results; its message is one line."""


def option(path: str, value: object = None, *, key: str | None = None) -> str:
    """Return an option as the user writes it: ``--model.latent 2`` for a command, ``latent=2`` in Python.

    Args:
        path: its name on the command line, such as model.latent.
        value: its value; None for the name alone.
        key: the key of an option that is a mapping, such as the name of a column.
    """
    if IN_COMMAND in os.environ:
        return _in_command(f"--{path}" + f".{key}" * (key is not None), value)
    name = path.rpartition(".")[2].replace("-", "_")
    if key is not None:
        return f"{name}={{{key!r}: {'...' if value is None else repr(value)}}}"
    return name if value is None else f"{name}={value!r}"


def _in_command(name: str, value: object) -> str:
    """Return an option as a shell accepts it; values that begin with a hyphen are attached to the name."""
    quoted = shlex.quote(name) if " " in name else name
    if not isinstance(value, tuple | list):
        return quoted if value is None else f"{quoted} {value}"
    words = sorted((shlex.quote(str(element)) for element in value), key=_is_option)
    return " ".join(
        [quoted] * (not all(map(_is_option, words))) + [f"{quoted}=" * _is_option(word) + word for word in words]
    )


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


@contextmanager
def in_command() -> Iterator[None]:
    """Let messages name options as on the command line, within a block."""
    before = os.environ.get(IN_COMMAND)
    os.environ[IN_COMMAND] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[IN_COMMAND]


def require_at_least(least: int, **numbers: int | None) -> None:
    """Refuse numbers below a least one; None is none.

    Raises:
        BadInput: one is smaller.
    """
    for name, number in numbers.items():
        if number is not None and number < least:
            raise BadInput(f"{option(name.replace('_', '-'), number)} is less than {least}")


def counted(count: int, noun: str) -> str:
    """Return a count and its noun, such as "1 seed" or "3 seeds"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(text: str) -> str:
    """Return text with characters that are not printable, such as control sequences of a terminal, as escapes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shorten(text: str, length: int) -> str:
    """Return text of at most `length` characters, without its middle if it is longer."""
    half = length // 2
    return text if len(text) <= length else f"{text[: half - 2]} … {text[1 - half :]}"
