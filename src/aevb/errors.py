"""The errors that a user, not a programmer, can mend: their messages are one line."""

LONGEST = 480
"""Characters of a message."""


class BadInput(ValueError):
    """Something given to aevb cannot be used: a file, a value, an option or a run folder.

    The message is one line that names the thing, what was expected and what to do. The commands print it and exit with
    status 2; everything else that goes wrong is a bug and keeps its traceback. Names and values in it come from files,
    so it is made a line that can be shown anywhere, however they are.
    """

    def __init__(self, message: str) -> None:
        super().__init__(shorten(printable(" ".join(message.split())), LONGEST))


class NonFinite(ArithmeticError):
    """Training met a number that is not finite. The model has the weights of the last whole epoch."""

    def __init__(self, tensor: str, epoch: int, step: int) -> None:
        super().__init__(
            f"{tensor} is not finite at step {step} of epoch {epoch}: try a smaller --train.lr or"
            " --train.clip-grad-norm 100, and look for extreme values in the data"
        )


class Lost(RuntimeError):
    """Another process of a job that shares a training is gone. The run has what its last checkpoint has."""


class Notice(UserWarning):
    """Something is done in another way than was asked for, with the same numbers; its message is one line."""


def printable(text: str) -> str:
    """Text in which what is not printable, such as the beginning of a terminal's commands, is written as an escape."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shorten(text: str, length: int) -> str:
    """Return text of at most `length` characters, without its middle if it is longer."""
    half = length // 2
    return text if len(text) <= length else f"{text[: half - 2]} … {text[1 - half :]}"
