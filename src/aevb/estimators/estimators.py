"""scikit-learn estimators, of the same models, training and evaluation as the commands'.

    VariationalAutoencoder    transform: x to the mean of q(z|x);  score_samples: log p(x);  sample
    VAEOutlierDetector        predict: -1 where log p(x) is lower than that of nearly all held-out rows
    VAEImputer                transform: what is missing filled by what is typical of p(missing | observed)

X is an array, or a pandas or polars frame. Its numbers are real, and its texts and truth values binary or categorical,
unless `kinds` says otherwise. Values may be missing. Rows that come back have the columns of X in their order. Global
random state is neither read nor changed. A fitted model computes in float64, so that no number depends on what else is
in X. A fitted estimator is saved as a run folder, without any row of X, which the commands read as any other.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    OneToOneFeatureMixin,
    OutlierMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data
from torch import Tensor
from typing_extensions import Self

from aevb.columns import Column
from aevb.config.initialize import initialize
from aevb.config.schema import (
    Config,
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    TrainConfig,
    build,
    build_objective,
    resolve,
)
from aevb.data import Dataset, Examples
from aevb.data.tables.encode import Raw, coded, frame, framed, pool, rows, table
from aevb.errors import BadInput
from aevb.evaluation import Score
from aevb.evaluation.anomalies import threshold
from aevb.evaluation.calibration import calibrate_noise
from aevb.evaluation.imputation import impute, typical
from aevb.evaluation.latent_means import latent_means
from aevb.evaluation.likelihood import per_example
from aevb.rng import RNGStream, seeded
from aevb.runs import sharing
from aevb.runs.hub import fetch, is_address
from aevb.runs.records import DataCard, EstimatorRecord, Outcome, ReferenceScores
from aevb.runs.run_folder import IN_MEMORY, SHARED_FILES, RunFolder
from aevb.training.fit import fit
from aevb.training.history import History
from aevb.training.state import TrainingState

FEWEST = 10
"""Rows below which a held-out part judges nothing: then all are learned from, and the last weights kept."""
START = 10_000
"""Rows, at most, that a model starts from."""

Random = int | np.random.RandomState | np.random.Generator | None


class _Shared:
    """What the estimators have in common: values may be missing, and a fitted one can be kept and shared."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.allow_nan = True
        return tags

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Write the fitted estimator and a model card into a folder that does not exist, or is empty.

        Raises:
            BadInput: it is taken or cannot be written.
        """
        sharing.save_pretrained(self._recorded(), save_directory)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Put the fitted estimator and a model card on the Hugging Face hub, and say where they are.

        Args:
            repo_id: OWNER/NAME, or NAME alone for one's own; it is made where there is none.
            options: commit_message, private, token, branch and create_pr, as in `aevb.push_to_hub`.

        Raises:
            BadInput: it may not be written, cannot be reached, or the extra `hub` is missing.
        """
        return sharing.push_to_hub(self._recorded(), repo_id, **options)

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
        """The fitted estimator that was saved in a folder or put on the Hugging Face hub, on the CPU.

        Args:
            pretrained_model_name_or_path: the folder, or OWNER/NAME on the hub.
            revision: a branch, a tag or a commit there.
            token, cache_dir, force_download, local_files_only: as in `huggingface_hub.ModelHubMixin.from_pretrained`.

        Raises:
            BadInput: there is none, another estimator was saved, or a file is damaged.
        """
        place = pretrained_model_name_or_path
        if is_address(place) or not Path(place).is_dir():
            options = {"force_download": force_download, "local_files_only": local_files_only}
            place = fetch(str(place), SHARED_FILES, revision=revision, token=token, cache_dir=cache_dir, **options)
        run = RunFolder.load(place)
        found = run.estimator.name if run.estimator else None
        if found != cls.__name__:
            opened = f"{found}.from_pretrained opens it" if found else "aevb.load_run opens it"
            raise BadInput(f"{pretrained_model_name_or_path} holds no {cls.__name__}: {opened}")
        try:
            return cls._restored(run)
        except (TypeError, ValueError) as error:
            raise BadInput(f"{place}/estimator.json is damaged or was not written by aevb: {error}") from error

    def _recorded(self) -> RunFolder:
        """The fitted estimator as a run."""
        raise NotImplementedError

    @classmethod
    def _restored(cls, run: RunFolder) -> Self:
        """The fitted estimator that was recorded."""
        raise NotImplementedError


class VariationalAutoencoder(_Shared, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A transformer to the latent space, and a density.

    Parameters
    ----------
    n_components
        Dimensions of z.
    hidden
        Widths of the encoder; the decoder mirrors them.
    posterior, prior
        Families, as in `aevb.ModelConfig`.
    beta
        Weight of the KL in the loss.
    epochs
        Passes over the rows; as many as make 10,000 steps where None.
    batch_size, learning_rate
        Of training.
    validation
        Share of the rows that are held out, and the weights kept that are best on them; none below ten rows.
    draws
        K, draws of z for each row in `score_samples`.
    kinds
        What columns are, by name (of an array x0, x1, ...): real, positive, count, binary, categorical, none; or
        "inferred", as in `aevb.data.tables.encode`.
    random_state
        Seed of everything; a fresh one at each fit where None.
    device
        cpu, cuda or mps.

    Attributes
    ----------
    model_
        The `aevb.VAE`.
    columns_
        What the columns of X were taken for.
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        hidden: Sequence[int] = (500,),
        posterior: str = "diagonal",
        prior: str = "normal",
        beta: float = 1.0,
        epochs: int | None = None,
        batch_size: int = 100,
        learning_rate: float = 1e-3,
        validation: float = 0.1,
        draws: int = 100,
        kinds: Mapping[str, str] | Literal["inferred"] | None = None,
        random_state: Random = None,
        device: str = "cpu",
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.posterior = posterior
        self.prior = prior
        self.beta = beta
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation = validation
        self.draws = draws
        self.kinds = kinds
        self.random_state = random_state
        self.device = device

    def fit(self, X: Any, y: object = None) -> Self:
        """Train a model of the rows of X ``(N, D)``."""
        self._learned(X)
        return self

    def partial_fit(self, X: Any, y: object = None) -> Self:
        """One more pass, over these rows alone; the first call decides what the columns are."""
        examples = self._examples(X) if hasattr(self, "model_") else self._begun(X, 0.0).train
        before = self._state
        config = self._training(epochs=before.number + 1 if before else 1, keep="last", lr_schedule="constant")
        self.model_.float()
        made = fit(
            self.model_,
            self._objective,
            examples,
            None,
            config,
            seed=self.seed_,
            resume_from=before,
            on_state=self._keep,
        )
        self._record(made)
        self.model_.double()
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """The mean of q(z|x) of each row, ``(N, Z)``."""
        return latent_means(self.model_, self._examples(X)).numpy()

    def inverse_transform(self, X: ArrayLike) -> Any:
        """The mean of p(x|z) at points ``(N, Z)``, as rows."""
        check_is_fitted(self)
        z = torch.as_tensor(np.asarray(X), dtype=self.model_.dtype, device=self.model_.device)
        with torch.no_grad():
            return self._rows(torch.cat([self.model_.decode(part).mean.cpu() for part in z.split(1000)]))

    def sample(self, n_samples: int = 1, random_state: Random = 0) -> Any:
        """Draws from p(x), as rows."""
        check_is_fitted(self)
        with seeded(_seed(random_state), RNGStream.SAMPLES, device=self.model_.device):
            return self._rows(self.model_.sample(n_samples, draw=True).cpu().float())

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """log p(x) of each row in nats, by importance sampling, ``(N,)``: of what is there in it."""
        return per_example(self.model_, self._examples(X), self.draws, seed=self.seed_).log_px.numpy()

    def score(self, X: Any, y: object = None) -> float:
        """The mean of log p(x)."""
        return float(self.score_samples(X).mean())

    @property
    def _n_features_out(self) -> int:
        return self.n_components

    @property
    def _objective(self) -> Any:
        return build_objective(ObjectiveConfig(beta=self.beta), self.posterior)

    def _training(self, **options: Any) -> TrainConfig:
        return TrainConfig(batch_size=self.batch_size, lr=self.learning_rate, **options)

    def _begun(self, X: Any, validation: float) -> Dataset:
        """The rows as a data set, with a model that has not been trained on them."""
        self.seed_ = _seed(self.random_state)
        self._state: TrainingState | None = None
        raws = self._raws(X, reset=True)
        numbers = {raw.name: "real" for raw in raws if not (raw.numbers is None or raw.logical or raw.levels)}
        kinds: Any = {} if self.kinds == "inferred" else numbers | dict(self.kinds or {})
        made = pool("X", raws, kinds)
        self.columns_, self._frame, self._names = made.columns, _library(X), _names(X)
        dataset = _split(made.examples, made.columns, validation, self.seed_)
        config = self._configuration()
        resolved = resolve(config.model, dataset)
        with seeded(self.seed_, RNGStream.WEIGHTS):
            self.model_ = build(resolved, dataset.shape, dataset.columns)
            initialize(self.model_, dataset.train.subsample(START))
        self.model_.to(self.device)
        self._run = RunFolder(Path(IN_MEMORY), config, resolved, _card(dataset), self.model_)
        return dataset

    def _learned(self, X: Any) -> Examples:
        """What `fit` does; the rows that were held out."""
        dataset = self._begun(X, self.validation)
        config = self._training(epochs=self.epochs, keep="best")
        valid = dataset.valid if len(dataset.valid) else None
        self._record(fit(self.model_, self._objective, dataset.train, valid, config, seed=self.seed_))
        self.model_.double()
        return dataset.valid

    def _configuration(self) -> Config:
        """What the commands would call the parameters."""
        options = {"latent": (self.n_components,), "hidden": tuple(self.hidden)}
        kinds: Any = {column.name: column.kind for column in self.columns_ if column.kind != "constant"}
        return Config(
            data=DataConfig(source=IN_MEMORY, column_types=kinds),
            model=ModelConfig.model_validate(options | {"posterior": self.posterior, "prior": self.prior}),
            objective=ObjectiveConfig(beta=self.beta),
            train=self._training(epochs=self.epochs),
            seed=self.seed_,
        )

    def _record(self, history: History) -> None:
        """Keep what the commands would of a training, or of its next epoch."""
        epochs = [*self._run.epochs, *history.epochs]
        seconds = sum(epoch.seconds for epoch in epochs)
        outcome = Outcome(ended=history.ended, kept=history.kept, epochs=len(epochs), seconds=seconds)
        best = next((epoch.valid for epoch in epochs if epoch.number == history.kept), None)
        named = {"bound": best.bound, "rate": best.rate, "distortion": best.distortion} if best else {}
        scores = [
            Score(name, value, None, "valid", "as in training; the weights were chosen by it", 1, "none")
            for name, value in named.items()
            if np.isfinite(value)
        ]
        self._run = replace(self._run, epochs=epochs, outcome=outcome, weights_epoch=history.kept, scores=scores)

    def _recorded(self) -> RunFolder:
        check_is_fitted(self)
        return replace(self._run, model=self.model_, estimator=_estimator(self, self))

    @classmethod
    def _restored(cls, run: RunFolder) -> Self:
        assert run.estimator
        model = cls(**_parameters(run.estimator.model))
        model.seed_, model.columns_, model._frame = run.config.seed, run.data.columns, run.estimator.frame
        model._names = run.estimator.names
        model.model_, model._state, model._run = run.model.double(), None, replace(run, estimator=None)
        _name_features(model, run.estimator)
        return model

    def _keep(self, state: TrainingState) -> None:
        self._state = state

    def _raws(self, X: Any, *, reset: bool = False) -> list[Raw]:
        """The columns of X as they are."""
        found = _checked(self, X, reset=reset)
        return frame(found, "X") if _is_frame(X) else rows(found)

    def _examples(self, X: Any) -> Examples:
        """X as the model takes it."""
        check_is_fitted(self)
        return Examples(coded(self._raws(X), self.columns_, "X"))

    def _rows(self, values: Tensor) -> Any:
        """Rows ``(N, D)`` of the model as an array or a frame like that of `fit`."""
        if self._frame != "array":
            found = framed(self.columns_, values.numpy(), self._frame)
            found.columns = [self._names[place] for place in sorted(column.place for column in self.columns_)]
            return found
        return np.array(list(table(self.columns_, values.numpy()).values()), dtype=np.float64).T


class VAEOutlierDetector(_Shared, OutlierMixin, BaseEstimator):
    """Rows that are less probable than nearly all of those that were held out.

    Parameters
    ----------
    estimator
        The model of log p(x); a `VariationalAutoencoder` with its defaults where None.
    false_alarm_rate
        Share of usual rows that are called outliers, at most.
    held_out
        Share of the rows that the model does not learn from, and that say how low log p(x) is for usual ones.

    Attributes
    ----------
    estimator_
        Fitted to the other rows.
    offset_
        log p(x) below which a row is an outlier, in nats.
    """

    def __init__(
        self,
        estimator: VariationalAutoencoder | None = None,
        *,
        false_alarm_rate: float = 0.05,
        held_out: float = 0.2,
    ) -> None:
        self.estimator = estimator
        self.false_alarm_rate = false_alarm_rate
        self.held_out = held_out

    def fit(self, X: Any, y: object = None) -> Self:
        """Train a model of most rows of X ``(N, D)``, and measure the others.

        Raises:
            BadInput: too few are held out to bear the rate out.
        """
        X = _checked(self, X, reset=True)
        model = _unfitted(self.estimator)
        order = np.random.default_rng(_seed(model.random_state)).permutation(_num_samples(X))
        held_out, learned = np.split(order, [round(self.held_out * len(order))])
        self.estimator_ = model.fit(_safe_indexing(X, np.sort(learned)))
        self._usual = self.estimator_.score_samples(_safe_indexing(X, np.sort(held_out)))
        self.offset_ = threshold(torch.from_numpy(self._usual), self.false_alarm_rate)
        return self

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """log p(x) of each row in nats, ``(N,)``."""
        check_is_fitted(self)
        return self.estimator_.score_samples(_checked(self, X))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """log p(x) less the offset, ``(N,)``: below 0 of an outlier."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """-1 of an outlier, else 1, ``(N,)``."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _recorded(self) -> RunFolder:
        check_is_fitted(self)
        run, model, count = self.estimator_._recorded(), self.estimator_, len(self._usual)
        usual = ReferenceScores(log_px=tuple(self._usual.tolist()), n_importance_samples=model.draws, seed=model.seed_)
        error = float(self._usual.std(ddof=1)) / count**0.5 if count > 1 else None
        how = "importance sampling, of rows held out for the threshold"
        score = Score("log_px", float(self._usual.mean()), error, "test", how, model.draws, "none", None, count)
        return replace(
            run,
            data=run.data.model_copy(update={"test": count}),
            estimator=_estimator(self, model).model_copy(update={"reference": usual}),
            scores=[*run.scores, score],
        )

    @classmethod
    def _restored(cls, run: RunFolder) -> Self:
        found = run.estimator
        if not found or not found.reference:
            raise ValueError("it has no log p(x) of held-out rows")
        model = VariationalAutoencoder._restored(run)
        model._run.scores = [score for score in run.scores if score.split != "test"]
        detector = cls(**_parameters(found.parameters) | {"estimator": clone(model)})
        detector.estimator_, detector._usual = model, np.array(found.reference.log_px)
        detector.offset_ = threshold(torch.from_numpy(detector._usual), detector.false_alarm_rate)
        _name_features(detector, found)
        return detector


class VAEImputer(_Shared, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Missing values, by what is there in the row.

    After training, the noise of numbers is widened to what the rows need that the model held out
    (`aevb.evaluation.calibration`), so that intervals cover what they say; a `VariationalAutoencoder` alone keeps the noise that it learned.

    Parameters
    ----------
    estimator
        The model of the rows; a `VariationalAutoencoder` with its defaults where None.
    draws
        Of each row, from p(missing | observed).
    samples
        K, candidates for z that they are chosen from.

    Attributes
    ----------
    estimator_
        Fitted, its noise widened.
    """

    def __init__(
        self, estimator: VariationalAutoencoder | None = None, *, draws: int = 100, samples: int = 1000
    ) -> None:
        self.estimator = estimator
        self.draws = draws
        self.samples = samples

    def fit(self, X: Any, y: object = None) -> Self:
        """Train a model of the rows of X ``(N, D)``, in which values may be missing.

        Raises:
            BadInput: a column is empty.
        """
        X = _checked(self, X, reset=True)
        self.estimator_ = model = _unfitted(self.estimator)
        held_out = model._learned(X)
        for column in model.columns_:
            if column.kind == "constant" and not column.values:
                raise BadInput(f"column {column.name!r} is empty: drop it")
        calibrate_noise(model.model_, held_out, seed=model.seed_)
        return self

    def transform(self, X: Any) -> Any:
        """X, each gap filled with the median of its draws, or with the most frequent value."""
        examples, draws = self._drawn(X, self.draws)
        return self._filled(X, torch.where(examples.isnan(), typical(draws, self.estimator_.columns_), examples))

    def sample(self, X: Any, n_samples: int = 20) -> list[Any]:
        """X so many times, its gaps filled with draws: analyse each, and their differences are what is not known."""
        _, draws = self._drawn(X, n_samples)
        return [self._filled(X, rows) for rows in draws]

    def _recorded(self) -> RunFolder:
        check_is_fitted(self)
        return replace(self.estimator_._recorded(), estimator=_estimator(self, self.estimator_))

    @classmethod
    def _restored(cls, run: RunFolder) -> Self:
        assert run.estimator
        model = VariationalAutoencoder._restored(run)
        imputer = cls(**_parameters(run.estimator.parameters) | {"estimator": clone(model)})
        imputer.estimator_ = model
        _name_features(imputer, run.estimator)
        return imputer

    def _drawn(self, X: Any, count: int) -> tuple[Tensor, Tensor]:
        check_is_fitted(self)
        model = self.estimator_
        examples = model._examples(_checked(self, X))
        return examples.values, impute(model.model_, examples, count, samples=self.samples, seed=model.seed_).draws

    def _filled(self, X: Any, rows: Tensor) -> Any:
        """X with the values of the model's columns where its own are missing."""
        found = self.estimator_._rows(rows)
        if not _is_frame(X):
            x = np.asarray(X, dtype=np.float64)
            return np.where(np.isnan(x), found, x)
        if hasattr(X, "with_columns"):  # polars
            return X.with_columns([X[name].fill_nan(None).fill_null(found[name]) if X[name].dtype.is_float() else
                                   X[name].fill_null(found[name]) for name in found.columns])  # fmt: skip
        filled = X.copy()
        for name in found.columns:
            filled[name] = X[name].fillna(found[name].set_axis(X.index))
        return filled


def _checked(estimator: BaseEstimator, X: Any, *, reset: bool = False) -> Any:
    """A frame as it is, anything else as an array of float64."""
    if _is_frame(X):
        validate_data(estimator, X, skip_check_array=True, reset=reset)
        return X
    fewest = 2 if reset else 1
    return validate_data(
        estimator, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=fewest, reset=reset
    )


def _unfitted(estimator: VariationalAutoencoder | None) -> VariationalAutoencoder:
    """A copy to fit; one with its defaults where none is given."""
    return clone(estimator) if estimator else VariationalAutoencoder()


def _estimator(estimator: Any, model: VariationalAutoencoder) -> EstimatorRecord:
    """What there is to record of an estimator, whose model may be itself."""
    own = {} if estimator is model else estimator.get_params(deep=False)
    own.pop("estimator", None)
    of_model = model.get_params(deep=False)
    if isinstance(model.random_state, np.random.RandomState | np.random.Generator):
        of_model["random_state"] = model.seed_
    return EstimatorRecord(
        name=type(estimator).__name__,
        parameters=_in_json(own),
        model=_in_json(of_model),
        frame=model._frame,
        names=model._names,
        features=estimator.n_features_in_,
    )


def _in_json(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters without NumPy's numbers, and whatever else is no JSON."""
    plain: dict[str, Any] = json.loads(
        json.dumps(parameters, default=lambda value: dict(value) if isinstance(value, Mapping) else value.item())
    )
    return plain


def _parameters(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as they were: JSON has no tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in recorded.items()}


def _name_features(estimator: Any, recorded: EstimatorRecord) -> None:
    estimator.n_features_in_ = recorded.features
    if recorded.names and all(isinstance(name, str) for name in recorded.names):
        estimator.feature_names_in_ = np.array(recorded.names, dtype=object)


def _library(X: Any) -> Literal["array", "pandas", "polars"]:
    if not _is_frame(X):
        return "array"
    return "polars" if hasattr(X, "with_columns") else "pandas"


def _names(X: Any) -> tuple[int | str, ...]:
    """Names of the columns of a frame; others than texts and whole numbers become texts."""
    return tuple(name if isinstance(name, int) else str(name) for name in X.columns) if _is_frame(X) else ()


def _card(dataset: Dataset) -> DataCard:
    """What a run remembers of rows in memory, which nobody can bring back."""
    return DataCard(
        name=IN_MEMORY,
        kind=dataset.kind,
        shape=dataset.shape,
        train=len(dataset.train),
        valid=len(dataset.valid),
        test=0,
        classes=None,
        fingerprint="",
        columns=dataset.columns,
    )


def _is_frame(X: Any) -> bool:
    """Whether X is of pandas or polars."""
    return hasattr(X, "columns") and hasattr(X, "to_numpy")


def _split(examples: Examples, columns: tuple[Column, ...], validation: float, seed: int) -> Dataset:
    """Rows to learn from, and some held out where that is worth it."""
    count = len(examples)
    held_out = round(validation * count) if count >= FEWEST and validation else 0
    order = torch.from_numpy(np.random.default_rng(seed).permutation(count))
    valid, train = (Examples(examples.values[rows.sort().values]) for rows in order.tensor_split([held_out]))
    return Dataset("X", "columns", examples.shape, train, valid, valid, "none", None, columns)


def _seed(random_state: Random) -> int:
    """A seed; a fresh one of None."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    return int(random_state)
