"""The findings of a diagnosis, as findings.json in a run folder."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from aevb.evaluation.diagnosis import Finding
from aevb.files import write_bytes

FINDINGS = "findings.json"


def save_findings(folder: Path, findings: Sequence[Finding]) -> None:
    """Write findings into a run folder.

    Raises:
        BadInput: the file cannot be written.
    """
    text = json.dumps([asdict(finding) for finding in findings], indent=2, allow_nan=False)
    write_bytes(folder / FINDINGS, f"{text}\n".encode())


def load_findings(folder: Path) -> list[Finding] | None:
    """Return the findings of a run folder; None if there are none or the file is damaged."""
    try:
        content = json.loads((folder / FINDINGS).read_text(encoding="utf-8"))
        return [Finding(**finding) for finding in content]
    except (OSError, ValueError, TypeError):
        return None
