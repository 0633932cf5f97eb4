"""The one error that a user, not a programmer, can mend."""


class BadInput(ValueError):
    """Something given to aevb cannot be used: a file, a value, an option or a run folder.

    The message is one line that names the thing, what was expected and what to do. The commands print it and exit with
    status 2; everything else that goes wrong is a bug and keeps its traceback.
    """
