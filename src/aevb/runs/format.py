"""The text files of a run folder: JSON without NaN and infinities, one JSON line per epoch, and a format version."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from pydantic import JsonValue, TypeAdapter, ValidationError

from aevb.errors import BadInput
from aevb.training.history import Epoch

FORMAT = 1
RECORDED = ("format", "aevb", "plugins", "dataset", "resolved")
"""Keys of a run's config.json that are not part of its configuration."""
_INFINITE = {"bound": -math.inf, "rate": math.inf}
"""Metrics that an autoencoder, or an objective of a user, does not have. They are null in the file."""
_EPOCH = TypeAdapter(Epoch)


def to_json(content: object) -> bytes:
    """Return content as indented JSON."""
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> JsonValue:
    """Return the content of a JSON file.

    Raises:
        BadInput: the file cannot be read, or is not JSON with finite numbers.
    """
    with damaged_as_bad_input(path):
        return _parse(path.read_text(encoding="utf-8"))


def _parse(text: str) -> JsonValue:
    content: JsonValue = json.loads(text, parse_constant=_finite, parse_float=_finite)
    return content


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def configuration(content: Mapping[str, JsonValue], path: Path) -> dict[str, JsonValue]:
    """Return the part of a run's config.json that is its configuration.

    Raises:
        BadInput: a newer version of aevb wrote it.
    """
    version = content.get("format", FORMAT)
    if not isinstance(version, int) or version > FORMAT:
        raise BadInput(
            f"{path} has format {version!r} of aevb {content.get('aevb')}, but this version reads formats up to"
            f" {FORMAT}: install that version or a newer one"
        )
    return {key: value for key, value in content.items() if key not in RECORDED}


def epoch_line(epoch: Epoch) -> str:
    """Return the line of an epoch in metrics.jsonl."""
    return json.dumps(_not_finite_to_null(asdict(epoch)), allow_nan=False) + "\n"


def read_epochs(path: Path) -> list[Epoch]:
    """Return the epochs in metrics.jsonl, without a last line that was not written completely.

    Raises:
        BadInput: the file is damaged.
    """
    if not path.is_file():
        return []
    with damaged_as_bad_input(path):
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        return [_EPOCH.validate_python(_null_to_infinite(_parse(line))) for line in lines]


def _not_finite_to_null(content: object) -> object:
    if isinstance(content, dict):
        return {key: _not_finite_to_null(value) for key, value in content.items()}
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _null_to_infinite(content: object) -> object:
    """Put the infinities back; other nulls, such as missing validation metrics, stay."""
    if not isinstance(content, dict):
        return content
    return {
        key: _INFINITE[key] if value is None and key in _INFINITE else _null_to_infinite(value)
        for key, value in content.items()
    }


@contextmanager
def damaged_as_bad_input(path: Path) -> Iterator[None]:
    """Turn any error of reading a damaged file into a `BadInput` of one line that names the file."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:  # damaged content can fail in any way
        raise BadInput(f"{path} is damaged or was not written by aevb: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{type(error).__name__} {error}" if isinstance(error, LookupError) else str(error)
