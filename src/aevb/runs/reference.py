"""log p(x) of held-out examples as reference-scores.json in a run folder, so that it is measured once.

The file holds for the weights, K and seed with which it was measured.
"""

from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from aevb.errors import BadInput
from aevb.files import write_bytes
from aevb.runs.records import ReferenceScores

REFERENCE = "reference-scores.json"


class StoredScores(ReferenceScores):
    """Scores of held-out examples with the digest of the weights that gave them."""

    weights: str


def load_reference(folder: Path, n_importance_samples: int | None, seed: int) -> ReferenceScores | None:
    """Return the scores of a run folder; None if there are none for its weights, this K and this seed."""
    with suppress(OSError, ValueError):
        stored = StoredScores.model_validate_json((folder / REFERENCE).read_bytes())
        key = stored.weights, stored.n_importance_samples, stored.seed
        return stored if key == (_digest(folder), n_importance_samples, seed) else None
    return None


def save_reference(folder: Path, scores: ReferenceScores) -> None:
    """Write scores into a run folder, if it can be written to."""
    with suppress(OSError, BadInput):
        stored = StoredScores(weights=_digest(folder), **scores.model_dump())
        write_bytes(folder / REFERENCE, stored.model_dump_json().encode())


def _digest(folder: Path) -> str:
    return blake2b((folder / "model.safetensors").read_bytes(), digest_size=16).hexdigest()
