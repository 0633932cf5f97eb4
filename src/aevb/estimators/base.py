"""What the estimators share: missing values, validation of X, and saving and sharing of fitted estimators."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from pydantic import JsonValue
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data
from typing_extensions import Self

from aevb.errors import BadInput, counted
from aevb.estimators.frames import Rows, is_frame
from aevb.runs import sharing
from aevb.runs.hub import fetch, is_address
from aevb.runs.records import EstimatorRecord
from aevb.runs.run_folder import SHARED, RunFolder

RandomState: TypeAlias = int | np.random.RandomState | np.random.Generator | None


class PretrainedEstimator(BaseEstimator):
    """An estimator that accepts missing values, and that can be saved and shared once it is fitted."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Write the fitted estimator and a model card into a folder.

        Args:
            save_directory: a folder that does not exist or is empty.

        Raises:
            BadInput: the folder is not empty or cannot be written.
        """
        sharing.save_pretrained(self._to_run(), save_directory)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str = "Push an estimator of aevb",
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        create_pr: bool | None = None,
    ) -> str:
        """Upload the fitted estimator and a model card to the Hugging Face hub.

        Args:
            repo_id: OWNER/NAME, or NAME for your own; it is created if it does not exist.
            commit_message: of the commit.
            private, token, branch, create_pr: as in `huggingface_hub.ModelHubMixin.push_to_hub`.

        Returns:
            The address.

        Raises:
            BadInput: the repository cannot be reached or written, or the extra `hub` is not installed.
        """
        return sharing.push_to_hub(
            self._to_run(),
            repo_id,
            commit_message=commit_message,
            private=private,
            token=token,
            branch=branch,
            create_pr=create_pr,
        )

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
    ) -> Self:
        """Load a fitted estimator from a folder or from the Hugging Face hub, on the CPU.

        Args:
            pretrained_model_name_or_path: the folder, or OWNER/NAME on the hub.
            revision: a branch, a tag or a commit on the hub.
            token, cache_dir, force_download, local_files_only: as in `huggingface_hub.ModelHubMixin.from_pretrained`.

        Raises:
            BadInput: there is no such estimator, it is of another class, or a file is damaged.
        """
        folder = pretrained_model_name_or_path
        if is_address(folder) or not Path(folder).is_dir():
            options = {"force_download": force_download, "local_files_only": local_files_only}
            folder = fetch(str(folder), SHARED, revision=revision, token=token, cache_dir=cache_dir, **options)
        run = RunFolder.load(folder)
        name = run.estimator.name if run.estimator else None
        if name != cls.__name__:
            advice = f"use {name}.from_pretrained" if name else "use aevb.load_run"
            raise BadInput(f"{pretrained_model_name_or_path} contains no {cls.__name__}: {advice}")
        try:
            return cls._from_run(run)
        except (TypeError, ValueError) as error:
            raise BadInput(f"{folder}/estimator.json is damaged or was not written by aevb: {error}") from error

    def _to_run(self) -> RunFolder:
        """Return the fitted estimator as a run in memory."""
        raise NotImplementedError

    @classmethod
    def _from_run(cls, run: RunFolder) -> Self:
        """Return the fitted estimator of a run."""
        raise NotImplementedError

    def _validate(self, X: Rows, *, reset: bool = False) -> Rows:
        """Check the columns of X; return a data frame unchanged, anything else as an array of float64.

        Args:
            X: rows.
            reset: whether the estimator is fitted to X.
        """
        fewest = 2 if reset else 1
        if is_frame(X):
            validate_data(self, X, skip_check_array=True, reset=reset)
            if len(X) < fewest:
                raise BadInput(f"X has {counted(len(X), 'row')}: expected at least {fewest}")
            return X
        if (dimensions := getattr(X, "ndim", 2)) > 2:
            raise BadInput(
                f"Found array with dim {dimensions}, while dim <= 2 is required: expected rows (N, D); use"
                " aevb.train for images"
            )
        return validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=fewest, reset=reset
        )

    def _restore_features(self, record: EstimatorRecord) -> None:
        """Restore what scikit-learn records of the columns of X."""
        self.n_features_in_ = record.features
        if record.names and all(isinstance(name, str) for name in record.names):
            self.feature_names_in_ = np.array(record.names, dtype=object)


def to_json(parameters: Mapping[str, object]) -> dict[str, JsonValue]:
    """Return parameters with NumPy's numbers and arrays and other mappings converted to plain JSON."""
    text = json.dumps(parameters, default=lambda value: dict(value) if isinstance(value, Mapping) else value.tolist())
    converted: dict[str, JsonValue] = json.loads(text)
    return converted


def from_json(parameters: Mapping[str, JsonValue]) -> dict[str, Any]:
    """Return the inverse of `to_json`: JSON has no tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in parameters.items()}


def seed_of(random_state: RandomState) -> int:
    """Return a seed; a fresh one where `random_state` is None."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    return int(random_state)
