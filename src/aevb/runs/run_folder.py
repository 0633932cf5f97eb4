"""The run folder: the record of a run on disk.

    config.json             the configuration, the resolved model, and a description of the data
    model.safetensors       the weights, and the epoch after which they were written
    metrics.jsonl           one line per epoch, written as training proceeds
    checkpoint.safetensors  the state from which training resumes; removed when training finishes
    scores.json             held-out scores, and how training ended
    findings.json           what the diagnosis found
    quality.json            quality of samples of a table; quality.png is its figure
    estimator.json          parameters of a scikit-learn estimator; only where one was saved
    README.md               a model card; only where the run was saved for others
    figures/                figures
    tensorboard/            the metrics for TensorBoard; only with that logger (`aevb.workflow.loggers`)
    wandb/, mlflow/         identifiers of the run in these tools; only with these loggers

Files are written atomically, and a new folder appears with its configuration and initial weights in one step. Nothing
is pickled.
"""

import copy
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import torch
from pydantic import TypeAdapter
from typing_extensions import Self

from aevb.config.build import build, weight_bytes
from aevb.config.schema import Config, ModelConfig
from aevb.data import IN_MEMORY, DataSpec, Examples, load_data, read_examples
from aevb.data.dataset import Dataset
from aevb.errors import BadInput, option
from aevb.evaluation import Score, Split, evaluate
from aevb.files import create_folder, flush, os_errors_as_bad_input, temporary_name, write_atomically, write_bytes
from aevb.models.registry import require_plugins
from aevb.models.vae import VAE
from aevb.runs.checkpoint import load_state, load_weights, pack_state, pack_weights, require_weights
from aevb.runs.format import FORMAT, configuration, damaged_as_bad_input, epoch_line, read_epochs, read_json, to_json
from aevb.runs.hub import fetch, is_address
from aevb.runs.records import DataCard, Ending, EstimatorRecord, Outcome, ScoreFile
from aevb.training.history import Epoch
from aevb.training.state import TrainingState

CONFIG, CHECKPOINT = "config.json", "checkpoint.safetensors"
FURTHER_MODELS = ("model-[0-9].safetensors", "model-[0-9][0-9].safetensors")
SHARED_FILES = (CONFIG, "model.safetensors", "metrics.jsonl", "scores.json", "estimator.json", "README.md")
SHARED = (*SHARED_FILES, *FURTHER_MODELS)
"""The files that are shared with others, and read from others, as patterns: none of them contains data."""
_FILES = (*SHARED_FILES, CHECKPOINT)


@dataclass
class RunFolder:
    """A run folder and its content in memory.

    Attributes:
        folder: its path, or an address on the hub, which is read-only.
        config: everything the run is a function of, as the user gave it.
        resolved: the model's configuration, with all choices made by the data.
        data: description of the data.
        model: with the weights that were kept, in evaluation mode.
        epochs: metrics of each epoch, in order.
        scores: held-out scores.
        weights_epoch: the epoch after which the weights were written.
        outcome: how training ended; None before its end.
        state: from which training resumes; None before the first epoch and after the end.
        estimator: parameters of a scikit-learn estimator; None for any other run.
        pool: further models of the same architecture, trained with other seeds, that a scikit-learn estimator has.
    """

    folder: Path
    config: Config
    resolved: ModelConfig
    data: DataCard
    model: VAE
    epochs: list[Epoch] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    weights_epoch: int = 0
    outcome: Outcome | None = None
    state: TrainingState | None = None
    estimator: EstimatorRecord | None = None
    pool: Sequence[VAE] = ()

    @classmethod
    def create(cls, folder: Path, config: Config, resolved: ModelConfig, dataset: Dataset, model: VAE) -> Self:
        """Create a run folder with its configuration and the initial weights.

        Args:
            folder: must not exist, or be empty.
            config: as the user gave it.
            resolved: the model's configuration, resolved.
            dataset: the training data.
            model: freshly built.

        Raises:
            BadInput: the folder already exists or cannot be written, or the disk is full.
        """
        run = cls(folder, config, resolved, DataCard.of(dataset), model)
        weights = pack_weights(model, 0)
        create_folder(folder, {"model.safetensors": weights, CONFIG: run.config_content()}, _space(len(weights)))
        return run

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> Self:
        """Load a run folder: its configuration, model, metrics and scores.

        Args:
            folder: its path, or an address on the hub, hub:OWNER/NAME or hub:OWNER/NAME@REVISION.
            device: of the model.

        Raises:
            BadInput: the folder is not a run folder, a file is missing or damaged, or a newer version wrote it.
        """
        if is_address(folder):
            return replace(cls.load(fetch(str(folder), SHARED), device), folder=Path(folder))
        folder = Path(folder)
        with os_errors_as_bad_input(folder, "read"):
            if not (folder / CONFIG).is_file():
                raise BadInput(f"{folder} is not a run folder: {_difference(folder)}")
        config, resolved, card = _read_config(folder / CONFIG)
        model, weights_epoch = _read_model(folder / "model.safetensors", resolved, card)
        run = cls(folder, config, resolved, card, model.to(device), weights_epoch=weights_epoch)
        further = [file for pattern in FURTHER_MODELS for file in sorted(folder.glob(pattern))]
        run.pool = [_read_model(file, resolved, card)[0].to(device) for file in further]
        run.epochs = read_epochs(folder / "metrics.jsonl")
        if (folder / "scores.json").is_file():
            with damaged_as_bad_input(folder / "scores.json"):
                content = ScoreFile.model_validate(read_json(folder / "scores.json"))
                run.scores, run.outcome = content.scores, content.training
        if (folder / "estimator.json").is_file():
            with damaged_as_bad_input(folder / "estimator.json"):
                run.estimator = EstimatorRecord.model_validate(read_json(folder / "estimator.json"))
        return run

    @classmethod
    def find(cls, folder: Path, config: Config) -> Self | None:
        """Return the existing run in a folder; None without one.

        Raises:
            BadInput: its configuration differs, or it is damaged.
        """
        with os_errors_as_bad_input(folder, "read"):
            if not (folder / CONFIG).is_file():
                return None
        run = cls.load(folder)
        if run.config.without_data_dir() != config.without_data_dir():
            raise BadInput(
                f"{folder} has a run with another configuration: choose another {option('out')}, or remove it"
            )
        return run

    @classmethod
    def reopen(cls, folder: Path, config: Config, dataset: Dataset, model: VAE) -> Self | None:
        """Return the interrupted run in a folder, at its last checkpoint; None without one.

        Args:
            folder: of the run.
            config: as the user gave it.
            dataset: the training data.
            model: freshly built; `fit` loads the state of the run into it.

        Raises:
            BadInput: its configuration or its data differ, or it is damaged.
        """
        run = cls.find(folder, config)
        if run is None or run.finished:
            return None
        run.require_same_data(dataset)
        run.model = model
        run.rewind()
        return run

    @classmethod
    def join(cls, folder: Path, config: Config, model: VAE) -> Self:
        """Return the run that the first process of a job has created or reopened. Only that process writes to it.

        Args:
            folder, config, model: as in `reopen`.

        Raises:
            BadInput: this process cannot see the folder.
        """
        run = cls.find(folder, config)
        if run is None:
            raise BadInput(
                f"{folder} is not visible to all processes: choose a folder {option('out')} on a shared file system"
            )
        run.model, run.state = model, load_state(model, folder / CHECKPOINT)
        return run

    @property
    def finished(self) -> bool:
        """Whether training ended by itself and was not interrupted."""
        return self.outcome is not None and self.outcome.ended in ("finished", "early")

    # Data.

    def load_data(self, data_dir: str | None = None) -> Dataset:
        """Load the data of the run, with the same splits.

        Raises:
            BadInput: they cannot be read, or have changed.
        """
        if self.config.data.source == IN_MEMORY:
            raise BadInput(
                f"{self.folder} was trained on data in memory, which it does not contain: pass them to it in Python"
            )
        settings = self.config.load_options()
        dataset = load_data(**settings | ({"data_dir": data_dir} if data_dir else {}))
        self.require_same_data(dataset)
        return dataset

    def read_examples(
        self, source: object, data_dir: str | None = None, outside: dict[int, str] | None = None
    ) -> Examples:
        """Read all examples of another source for the model.

        Args:
            source: as in `load_data`.
            data_dir: as in `load_data`.
            outside: receives the examples with values that cannot occur in the training data, by index, with the
                reason; None to refuse them.

        Raises:
            BadInput: they cannot be read, or differ in kind, shape or columns from the training data.
        """
        return read_examples(source, self.data_spec(data_dir), outside)

    def data_spec(self, data_dir: str | None = None) -> DataSpec:
        """Return the form of the training data; `data_dir` as in `load_data`."""
        data, settings, classes = self.data, self.config.data, self.resolved.options.get("classes")
        return DataSpec(
            kind=data.kind,
            shape=data.shape,
            columns=data.columns,
            condition_columns=data.condition_columns,
            binarize=settings.binarize,
            image_size=settings.image_size,
            missing=settings.missing,
            split_seed=settings.split_seed,
            data_dir=data_dir or settings.data_dir,
            byte_scale=data.byte_scale,
            white=data.white,
            largest=None if classes is None else classes - 1,
            dtype=self.model.event_dtype,
        )

    def require_same_data(self, dataset: Dataset) -> None:
        """Refuse data other than those of the run.

        Raises:
            BadInput: they differ.
        """
        current = DataCard.of(dataset)
        if _identity(current) != _identity(self.data):
            raise BadInput(
                f"{self.config.data.source} has changed since {self.folder} was trained: restore the data, or train"
                " again"
            )

    # Training.

    def append_epoch(self, epoch: Epoch) -> None:
        """Append an epoch to metrics.jsonl."""
        self.epochs.append(epoch)
        with os_errors_as_bad_input(self.folder), (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(epoch_line(epoch))

    def save_weights(self, epoch: int) -> None:
        """Write the current weights, those after `epoch`."""
        self.weights_epoch = epoch
        write_bytes(self.folder / "model.safetensors", pack_weights(self.model, epoch))

    def save_checkpoint(self) -> None:
        """Write the state from which training resumes; remove it where training has finished."""
        checkpoint = self.folder / CHECKPOINT
        with os_errors_as_bad_input(checkpoint):
            if self.finished:
                checkpoint.unlink(missing_ok=True)
            elif self.state:
                if self.epochs:
                    flush(self.folder / "metrics.jsonl")  # must not be older than the checkpoint
                write_bytes(checkpoint, pack_state(self.state))

    def rewind(self) -> None:
        """Return to the last checkpoint, or to the initial weights, and drop everything written after it.

        Raises:
            BadInput: a file is damaged, or belongs to another model.
        """
        self.state = load_state(self.model, self.folder / CHECKPOINT)
        done, metrics = self.state.number if self.state else 0, self.folder / "metrics.jsonl"
        with damaged_as_bad_input(metrics):
            if done > len(self.epochs):
                raise ValueError(f"it has {len(self.epochs)} epochs, but {CHECKPOINT} is of epoch {done}")
        self.epochs, self.scores, self.outcome = self.epochs[:done], [], None
        with os_errors_as_bad_input(self.folder):
            (self.folder / "scores.json").unlink(missing_ok=True)
            for name in _FILES:
                for incomplete in self.folder.glob(temporary_name(name, "*")):
                    incomplete.unlink()
        write_bytes(metrics, self._metrics_content())

    def close(self, ended: Ending, kept: int) -> None:
        """Record how training ended, the weights that were kept, and a checkpoint if it was interrupted."""
        seconds = sum(epoch.seconds for epoch in self.epochs)
        self.outcome = Outcome(ended=ended, kept=kept, epochs=len(self.epochs), seconds=seconds)
        self.save_weights(kept)
        self.save_scores([])
        self.save_checkpoint()
        self.state = None

    def close_failed(self, ended: Ending) -> None:
        """Record that training failed, with the weights of the last state: a step may be half done.

        Without a whole epoch the folder is removed, unless the run can be resumed.
        """
        resumable = ended == "interrupted" or (ended == "failed" and (self.folder / CHECKPOINT).is_file())
        if not (self.epochs or resumable):
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        if ended != "non-finite" and self.state:
            self.model.load_state_dict(self.state.averages or self.state.weights)
        self.close(ended, kept=self.state.number if self.state else 0)

    # Results.

    def evaluate(
        self, dataset: Dataset, split: Split = "test", *, n_importance_samples: int | None = None, seed: int = 0
    ) -> list[Score]:
        """Evaluate the model on a split and add the scores to scores.json."""
        scores = evaluate(self.model, dataset, split, n_importance_samples=n_importance_samples, seed=seed)
        self.save_scores(scores)
        return scores

    def save_scores(self, scores: list[Score]) -> None:
        """Write scores, which replace earlier ones of the same name, split, estimator, K and number of examples.

        The scores of a run on the hub are only kept in memory.
        """
        replaced = {_key(score) for score in scores}
        self.scores = [score for score in self.scores if _key(score) not in replaced] + scores
        if not is_address(self.folder):
            write_bytes(self.folder / "scores.json", self._scores_content())

    def save_figure(self, name: str, draw: Callable[[Path], object]) -> None:
        """Write a figure into figures/ by calling `draw` with a path."""
        if (self.folder / "figures").is_symlink():  # a folder from elsewhere may contain a link to any place
            raise BadInput(f"{self.folder / 'figures'} is a symbolic link: remove it")
        write_atomically(self.folder / "figures" / f"{name}.png", draw)

    def save_copy(self, folder: Path, card: str) -> None:
        """Write the run into another folder for others, without its data and without paths of this machine.

        Args:
            folder: must not exist, or be empty.
            card: the model card, in Markdown.

        Raises:
            BadInput: the folder already exists or cannot be written, or the disk is full.
        """
        data = {"source": Path(self.config.data.source).name, "data_dir": None}
        init_from = self.config.train.init_from
        train = {"init_from": init_from if init_from is None or is_address(init_from) else Path(init_from).name}
        sections = {
            "data": self.config.data.model_copy(update=data),
            "train": self.config.train.model_copy(update=train),
        }
        shared = replace(self, config=self.config.model_copy(update=sections))
        models = {"model": self.model} | {f"model-{number}": model for number, model in enumerate(self.pool, 2)}
        files = {
            **{
                f"{name}.safetensors": pack_weights(copy.deepcopy(model).float(), self.weights_epoch)
                for name, model in models.items()
            },
            "metrics.jsonl": self._metrics_content(),
            "scores.json": self._scores_content(),
            "README.md": card.encode(),
        }
        if self.estimator:
            files["estimator.json"] = to_json(self.estimator.model_dump(mode="json"))
        files[CONFIG] = shared.config_content()
        create_folder(folder, files, _space(len(models) * len(files["model.safetensors"])))

    def config_content(self) -> bytes:
        """Return the content of config.json."""
        recorded = {
            "format": FORMAT,
            "aevb": version("aevb"),
            "plugins": self.config.model_copy(update={"model": self.resolved}).plugins(),
            "dataset": self.data.model_dump(mode="json"),
            "resolved": self.resolved.model_dump(mode="json"),
        }
        return to_json(recorded | self.config.model_dump(mode="json"))

    def _metrics_content(self) -> bytes:
        return "".join(map(epoch_line, self.epochs)).encode()

    def _scores_content(self) -> bytes:
        outcome = self.outcome.model_dump() if self.outcome else None
        return to_json({"scores": [asdict(score) for score in self.scores], "training": outcome})


def _difference(path: Path) -> str:
    """Return why a path without a configuration is not a run folder."""
    if not path.is_dir():
        return "it is a file" if path.exists() else "it does not exist"
    below = sorted(path.glob(f"*/*/{CONFIG}"))  # of a sweep
    return f"it has no {CONFIG}" + (f", but {below[0].parent} is one" if below else "")


def _identity(card: DataCard) -> tuple[object, ...]:
    """Return what identifies the data; the examples of columns are for messages, and older runs have none."""
    columns = [column.model_copy(update={"typical": None}) for column in (*card.columns, *card.condition_columns)]
    return card.fingerprint, card.kind, card.shape, len(card.columns), columns


def _read_config(path: Path) -> tuple[Config, ModelConfig, DataCard]:
    content = read_json(path)
    with damaged_as_bad_input(path):
        if not isinstance(content, dict):
            raise TypeError(f"expected an object, got a {type(content).__name__}")
        require_plugins(TypeAdapter(list[str]).validate_python(content.get("plugins", [])), path.parent)
        return (
            Config.model_validate(configuration(content, path)),
            ModelConfig.model_validate(content["resolved"]),
            DataCard.model_validate(content["dataset"]),
        )


def _read_model(file: Path, resolved: ModelConfig, card: DataCard) -> tuple[VAE, int]:
    """Return a model with the weights in a file, in evaluation mode, and the epoch after which they were written."""
    with damaged_as_bad_input(file.parent / CONFIG):
        require_weights(file, weight_bytes(resolved, card.shape, card.columns, card.condition_columns))
        model = build(resolved, card.shape, card.columns, card.condition_columns)
    return model.eval(), load_weights(model, file)


def _space(weights: int) -> int:
    """Return the bytes that a run takes.

    A checkpoint is up to five times as large as the weights, and exists twice while it is replaced. Figures and scores
    take a few megabytes.
    """
    return 11 * weights + 2**24


def _key(score: Score) -> tuple[object, ...]:
    return score.name, score.split, score.estimator, score.n_importance_samples, score.examples
