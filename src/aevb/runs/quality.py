"""The quality of synthetic rows, as quality.json in a run folder."""

from pathlib import Path

from pydantic import TypeAdapter

from aevb.evaluation.quality import Quality
from aevb.files import write_bytes
from aevb.runs.format import to_json

QUALITY = "quality.json"


def save_quality(path: Path, quality: Quality) -> None:
    """Write the quality of synthetic rows as JSON.

    Raises:
        BadInput: the file cannot be written.
    """
    write_bytes(path, to_json(quality.as_json()))


def load_quality(folder: Path) -> Quality | None:
    """Return the quality of samples of a run; None if it has not been measured or the file is damaged."""
    try:
        return TypeAdapter(Quality).validate_json((folder / QUALITY).read_bytes())
    except (OSError, ValueError):
        return None
