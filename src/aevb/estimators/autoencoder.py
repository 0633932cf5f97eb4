"""A transformer to the latent space and a density, and the base of the estimators that are built on it."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from typing_extensions import Self

from aevb.columns import Column
from aevb.config.build import build, build_objective
from aevb.config.initialize import initialize
from aevb.config.resolve import resolve
from aevb.config.schema import Config, DataConfig, ModelConfig, ObjectiveConfig, TrainConfig
from aevb.data import IN_MEMORY, Dataset, Examples
from aevb.data.rounding import narrowed
from aevb.data.tables.encode import encode_rows
from aevb.data.tables.infer import ColumnTypes as DeclaredTypes
from aevb.data.tables.infer import unsplit_table
from aevb.data.tables.raw import RawColumn
from aevb.errors import BadInput
from aevb.estimators.base import PretrainedEstimator, RandomState, from_json, seed_of, to_json
from aevb.estimators.frames import Rows, column_names, library, read_columns, to_rows
from aevb.estimators.parameters import validate_device, validate_names, validate_widths
from aevb.evaluation import Score
from aevb.evaluation.checks import require_density
from aevb.evaluation.importance_sampling import per_example
from aevb.evaluation.latent_means import latent_means
from aevb.models.likelihoods import MIN_STDDEV
from aevb.models.registry import register
from aevb.rng import RNGStream, seeded
from aevb.runs.records import DataCard, EstimatorRecord, Outcome
from aevb.runs.run_folder import RunFolder
from aevb.training.fit import fit
from aevb.training.history import History
from aevb.training.state import TrainingState

FEWEST = 10
"""Number of rows below which none are held out; then the last weights are kept."""
START_EXAMPLES = 10_000
"""Largest number of rows from which a model is initialized."""
DECODED_TOGETHER = 1000
"""Number of latents that are decoded at once."""
ColumnTypes: TypeAlias = Mapping[str, str] | Literal["inferred"] | None


class VariationalAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, PretrainedEstimator):
    """A transformer to the latent space, and a density.

    Args:
        n_components: dimensions of z; None for 8, but at most as many as the columns.
        hidden: widths of the encoder; the decoder mirrors them.
        posterior: family of q(z|x), as in `aevb.ModelConfig`.
        prior: family of p(z), as in `aevb.ModelConfig`.
        min_stddev: minimum standard deviation of a number given z, in units of that of its column.
        objective: minimized in training, as in `aevb.ObjectiveConfig`.
        n_samples: samples of z for each row in a training step; None for the objective's default.
        beta: weight of the KL divergence in the loss.
        epochs: passes over the rows; None for as many as make 10,000 steps, fewer if the validation loss stops falling.
        batch_size: rows in a training step.
        learning_rate: of training; None for the default of the command.
        validation: fraction of the rows that are held out to choose the best weights; none of fewer than ten rows.
        keep: weights to keep, "best" on the rows that are held out, or "last".
        n_importance_samples: K, importance samples of z for each row in `score_samples`.
        column_types: a type (`aevb.columns`) or none by column name (x0, x1, ... of an array). Other
            columns are real if they hold numbers, and binary or categorical otherwise; "inferred" for the inference of
            the commands.
        random_state: seed of everything; None for a fresh one at each fit.
        device: cpu, cuda or mps.

    Attributes:
        model_: the `aevb.VAE`.
        columns_: names and types of the columns of X.
        seed_: the seed.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "hidden": "no_validation",
        "posterior": "no_validation",
        "prior": "no_validation",
        "min_stddev": [Interval(Real, 0, None, closed="neither")],
        "objective": "no_validation",
        "n_samples": [Interval(Integral, 1, None, closed="left"), None],
        "beta": [Interval(Real, 0, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
        "validation": [Interval(Real, 0, 1, closed="left")],
        "keep": [StrOptions({"best", "last"})],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
        "column_types": [Mapping, StrOptions({"inferred"}), None],
        "random_state": ["random_state", np.random.Generator],
        "device": "no_validation",
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        hidden: Sequence[int] = (256, 256),
        posterior: str = "diagonal",
        prior: str = "normal",
        min_stddev: float = MIN_STDDEV,
        objective: str = "elbo",
        n_samples: int | None = None,
        beta: float = 1.0,
        epochs: int | None = None,
        batch_size: int = 100,
        learning_rate: float | None = None,
        validation: float = 0.1,
        keep: str = "best",
        n_importance_samples: int = 100,
        column_types: ColumnTypes = None,
        random_state: RandomState = None,
        device: str = "cpu",
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.posterior = posterior
        self.prior = prior
        self.min_stddev = min_stddev
        self.objective = objective
        self.n_samples = n_samples
        self.beta = beta
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation = validation
        self.keep = keep
        self.n_importance_samples = n_importance_samples
        self.column_types = column_types
        self.random_state = random_state
        self.device = device

    def fit(self, X: Rows, y: object = None) -> Self:
        """Fit the model to rows.

        Args:
            X: rows, ``(N, D)``.
            y: ignored.
        """
        self._fit(X)
        return self

    def partial_fit(self, X: Rows, y: object = None) -> Self:
        """Train for one more epoch, on these rows alone; the first call determines the columns.

        Args:
            X: rows, ``(N, D)``.
            y: ignored.
        """
        examples = self._examples(X) if hasattr(self, "model_") else self._start(X, 0.0).train
        epochs = self._state.number + 1 if self._state else 1
        # The number of rows in all, which determines the default weight decay, is not known.
        options = {"epochs": epochs, "keep": "last", "lr_schedule": "constant", "weight_decay": 0.0}
        self._train(examples, None, _training(self, options), self._keep_state)
        return self

    def transform(self, X: Rows) -> NDArray[np.float64]:
        """Return the mean of q(z|x) of each row, ``(N, Z)``."""
        examples = self._examples(X)
        return latent_means(self.model_, examples).numpy()

    def inverse_transform(self, X: ArrayLike) -> Rows:
        """Return the mean of p(x|z) at points ``(N, Z)``, as rows."""
        check_is_fitted(self)
        z = torch.as_tensor(np.asarray(X), dtype=self.model_.dtype, device=self.model_.device)
        with torch.no_grad():
            chunks = [self.model_.decode(chunk).mean.cpu() for chunk in z.split(DECODED_TOGETHER)]
        return self._to_rows(torch.cat(chunks))

    def sample(self, n_samples: int = 1, random_state: RandomState = 0) -> Rows:
        """Sample rows from p(x)."""
        check_is_fitted(self)
        with seeded(seed_of(random_state), RNGStream.SAMPLES, device=self.model_.device):
            return self._to_rows(self.model_.sample(n_samples, draw=True).cpu())

    def score_samples(self, X: Rows) -> NDArray[np.float64]:
        """Return log p(x) of the observed values of each row in nats, by importance sampling, ``(N,)``.

        Raises:
            BadInput: the model is an autoencoder, or a value does not suit its column.
        """
        return self._score(X)

    def _score(self, X: Rows, outside: dict[int, str] | None = None) -> NDArray[np.float64]:
        examples = self._examples(X, outside)
        require_density(self.model_.posterior_has_density, "log p(x)")
        found = per_example(self.model_, examples, self.n_importance_samples, seed=self.seed_, equal=True)
        return found.log_px.numpy()

    def score(self, X: Rows, y: object = None) -> float:
        """Return the mean of log p(x), in nats."""
        return float(self.score_samples(X).mean())

    @property
    def _n_features_out(self) -> int:
        return self._run.resolved.layers[0]

    def _fit(self, X: Rows, rows: NDArray[np.int64] | None = None) -> Examples:
        """Fit the model to X, or to some of its rows, and return those of them that were held out."""
        dataset = self._start(X, self.validation, rows)
        valid = dataset.valid if len(dataset.valid) else None
        self._train(dataset.train, valid, _training(self, {"epochs": self.epochs, "keep": self.keep}))
        return dataset.valid

    def _start(self, X: Rows, validation: float, rows: NDArray[np.int64] | None = None) -> Dataset:
        """Determine the columns of X and build the model; return the rows as a data set.

        Args:
            X: rows, all of which determine the columns: other rows may have categories that some of them lack.
            validation: fraction of the rows that are held out.
            rows: the indices of those that the model is fitted to; None for all.
        """
        self._validate_parameters()
        self.seed_ = seed_of(self.random_state)
        self._state: TrainingState | None = None
        columns = read_columns(self._validate(X, reset=True))
        table = unsplit_table("X", columns, _column_types(self.column_types, columns))
        self.columns_, self._library, self._names = table.columns, library(X), column_names(X)
        examples = narrowed(table.examples)
        if rows is not None:
            examples = examples[torch.from_numpy(rows)]
        dataset = _split(examples, table.columns, validation, self.seed_)
        config = _config(self)
        resolved = resolve(config.model, dataset)
        with seeded(self.seed_, RNGStream.WEIGHTS):
            self.model_ = build(resolved, dataset.shape, dataset.columns)
            initialize(self.model_, dataset.train.subsample(START_EXAMPLES))
        self.model_.to(self.device)
        self._run = RunFolder(Path(IN_MEMORY), config, resolved, _data_card(dataset), self.model_)
        return dataset

    def _validate_parameters(self) -> None:
        self._validate_params()
        validate_widths(self, "hidden")
        validate_names(self, {"posterior": register.posterior, "prior": register.prior})
        validate_names(self, {"objective": register.objective})
        validate_device(self, "device")

    def _train(
        self,
        examples: Examples,
        valid: Examples | None,
        config: TrainConfig,
        on_state: Callable[[TrainingState], object] | None = None,
    ) -> None:
        """Train the model in float32 from the last state, record its history, and leave it in float64."""
        self.model_.float()
        objective = build_objective(_objective(self), self.posterior)
        history = fit(
            self.model_,
            objective,
            examples,
            valid,
            config,
            seed=self.seed_,
            resume_from=self._state,
            on_state=on_state,
        )
        self._run = _with_history(self._run, history, objective.n_samples)
        self.model_.double()

    def _keep_state(self, state: TrainingState) -> None:
        self._state = state

    def _examples(self, X: Rows, outside: dict[int, str] | None = None) -> Examples:
        """Return X as the model takes it; `outside` as for `encode_rows`."""
        check_is_fitted(self)
        rows = encode_rows(read_columns(self._validate(X)), self.columns_, "X", outside)
        return Examples(rows.to(self.model_.event_dtype))

    def _to_rows(self, values: Tensor) -> Rows:
        """Return rows of the model ``(N, D)`` as an array or a data frame like X."""
        return to_rows(values, self.columns_, self._library, self._names)

    def _to_run(self) -> RunFolder:
        check_is_fitted(self)
        return replace(self._run, model=self.model_, estimator=_record(self, self, {}))

    @classmethod
    def _from_run(cls, run: RunFolder) -> Self:
        assert run.estimator
        model = cls(**from_json(run.estimator.model))
        model.seed_, model.columns_ = run.config.seed, run.data.columns
        model._library, model._names = run.estimator.frame, run.estimator.names
        model.model_, model._state, model._run = run.model.double(), None, replace(run, estimator=None)
        model._restore_features(run.estimator)
        return model


class ModelWrapper(PretrainedEstimator):
    """An estimator that is built on a `VariationalAutoencoder`.

    Attributes:
        estimator: the model to fit a copy of; None for `default_estimator`.
        random_state: seed of the default model; another one has its own.
        estimator_: the fitted copy.
    """

    estimator: VariationalAutoencoder | None
    estimator_: VariationalAutoencoder
    random_state: RandomState

    @staticmethod
    @abstractmethod
    def default_estimator(n_rows: int, random_state: RandomState = None) -> VariationalAutoencoder:
        """Return the unfitted default model for a number of training rows."""

    def _new_model(self, n_rows: int) -> VariationalAutoencoder:
        """Return an unfitted copy of the model.

        Raises:
            BadInput: the model is an autoencoder.
        """
        model: VariationalAutoencoder = clone(self.estimator or self._default_model(n_rows))
        model._validate_parameters()
        require_density(register.posterior[model.posterior].has_density, type(self).__name__)
        return model

    def _default_model(self, n_rows: int) -> VariationalAutoencoder:
        """Return `default_estimator` for the parameters of this estimator."""
        return self.default_estimator(n_rows, self.random_state)

    def _to_run(self) -> RunFolder:
        check_is_fitted(self)
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name != "estimator"}
        return replace(self.estimator_._to_run(), estimator=_record(self, self.estimator_, parameters))

    @classmethod
    def _from_run(cls, run: RunFolder) -> Self:
        assert run.estimator
        model = VariationalAutoencoder._from_run(run)
        wrapper = cls(**from_json(run.estimator.parameters) | {"estimator": clone(model)})
        wrapper.estimator_ = model
        wrapper._restore_features(run.estimator)
        return wrapper


def _record(
    estimator: PretrainedEstimator, model: VariationalAutoencoder, parameters: Mapping[str, object]
) -> EstimatorRecord:
    """Return the record of a fitted estimator with its own parameters and those of its model."""
    return EstimatorRecord(
        name=type(estimator).__name__,
        parameters=to_json(_with_seed(parameters, model.seed_)),
        model=to_json(_with_seed(model.get_params(deep=False), model.seed_)),
        frame=model._library,
        names=model._names,
        features=estimator.n_features_in_,
    )


def _with_seed(parameters: Mapping[str, object], seed: int) -> Mapping[str, object]:
    """Return parameters with a seed in place of a random generator."""
    is_generator = isinstance(parameters.get("random_state"), np.random.RandomState | np.random.Generator)
    return {**parameters, "random_state": seed} if is_generator else parameters


def _column_types(column_types: ColumnTypes, columns: Sequence[RawColumn]) -> DeclaredTypes:
    """Return the types of the columns that are not inferred."""
    if column_types == "inferred":
        return {}
    numbers = {column.name: "real" for column in columns if _holds_numbers(column)}
    return cast(DeclaredTypes, numbers | dict(column_types or {}))


def _holds_numbers(column: RawColumn) -> bool:
    return not (column.numbers is None or column.logical or column.levels)


def _split(examples: Examples, columns: tuple[Column, ...], validation: float, seed: int) -> Dataset:
    """Split rows into training and validation rows, if there are enough.

    Raises:
        BadInput: no row is left to train on.
    """
    count = len(examples)
    held_out = round(validation * count) if count >= FEWEST and validation else 0
    if held_out == count:
        raise BadInput(f"validation={validation} leaves none of {count} rows to train on: use a smaller fraction")
    order = torch.from_numpy(np.random.default_rng(seed).permutation(count))
    valid, train = (Examples(examples.values[rows.sort().values]) for rows in order.tensor_split([held_out]))
    return Dataset("X", "columns", examples.shape, train, valid, valid, "none", None, columns)


def _training(estimator: VariationalAutoencoder, options: Mapping[str, object]) -> TrainConfig:
    own = {"batch_size": estimator.batch_size, "lr": estimator.learning_rate}
    return TrainConfig.model_validate(own | dict(options))


def _objective(estimator: VariationalAutoencoder) -> ObjectiveConfig:
    options = {"kind": estimator.objective, "n_samples": estimator.n_samples}
    weight = {"beta": estimator.beta} if estimator.beta != 1 else {}  # which not every objective has
    return ObjectiveConfig.model_validate(options | weight)


def _config(estimator: VariationalAutoencoder) -> Config:
    """Return the configuration with which the commands would train the model."""
    types = {column.name: column.kind for column in estimator.columns_ if column.kind != "constant"}
    model = {
        "latent": (estimator.n_components,) if estimator.n_components else None,
        "hidden": tuple(estimator.hidden),
        "posterior": estimator.posterior,
        "prior": estimator.prior,
        "min_stddev": estimator.min_stddev,
    }
    return Config(
        data=DataConfig.model_validate({"source": IN_MEMORY, "column_types": types}),
        model=ModelConfig.model_validate(model),
        objective=_objective(estimator),
        train=_training(estimator, {"epochs": estimator.epochs, "keep": estimator.keep}),
        seed=estimator.seed_,
    )


def _data_card(dataset: Dataset) -> DataCard:
    """Return the record of rows in memory, which cannot be loaded again."""
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


def _with_history(run: RunFolder, history: History, n_samples: int) -> RunFolder:
    """Return a run with the epochs of a training, or of its next epoch.

    Args:
        run: the run without them.
        history: the epochs.
        n_samples: samples of z per row in training.
    """
    earlier = len(run.epochs) - (history.epochs[0].number - 1 if history.epochs else 0)  # of `fit`
    epochs = [*run.epochs, *(replace(epoch, number=epoch.number + earlier) for epoch in history.epochs)]
    seconds, kept = sum(epoch.seconds for epoch in epochs), history.kept + earlier
    outcome = Outcome(ended=history.ended, kept=kept, epochs=len(epochs), seconds=seconds)
    best = next((epoch.valid for epoch in epochs if epoch.number == kept), None)
    metrics = {"bound": best.bound, "rate": best.rate, "distortion": best.distortion} if best else {}
    scores = [
        Score(name, value, None, "valid", _estimator(run.config), n_samples, "none")
        for name, value in metrics.items()
        if np.isfinite(value)
    ]
    return replace(run, epochs=epochs, outcome=outcome, weights_epoch=kept, scores=scores)


def _estimator(config: Config) -> str:
    """Return how the scores of the rows that were held out were computed, and whether they chose the weights."""
    objective = config.objective
    kind = "" if objective.kind == "elbo" else f"{objective.kind}, "
    chosen = config.train.keep == "best" and objective.options.get("beta", 1.0) == 1
    return f"{kind}as in training" + "; the weights were chosen by it" * chosen
