"""The run folder: everything that a run leaves behind, written and read here alone.

    config.json             the configuration as given, the model as resolved, and what the data were
    model.safetensors       the weights, and after which epoch
    metrics.jsonl           one epoch a line, as they end
    checkpoint.safetensors  what training goes on from; only where it has not ended by itself
    scores.json             held-out numbers, each with what it is, and how training ended
    estimator.json          what a scikit-learn estimator is beside its model; only where one was saved
    README.md               a model card; only where the run was saved for others
    figures/                pictures
    tensorboard/            the metrics once more; only where they were asked for there (`aevb.workflow.loggers`)

A file is written under a temporary name, flushed and renamed, so that it is there whole or not at all, and a folder
appears with its configuration and initial weights in one step. Nothing is ever unpickled.
"""

import copy
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from aevb.columns import Column
from aevb.config.schema import Config, ModelConfig, build, weight
from aevb.data import DataSpec, Examples, Kind, read
from aevb.data import load as load_data
from aevb.data.dataset import Dataset
from aevb.errors import BadInput
from aevb.evaluation import Score, Split, evaluate
from aevb.evaluation.likelihood import per_example
from aevb.models.vae import VAE
from aevb.runs.hub import fetch, is_address
from aevb.training.loop import Best, Epoch, EpochPosition, State

FORMAT = 1
IN_MEMORY = "(in memory)"
"""The source of data that came from no file."""
SHARED = ("config.json", "model.safetensors", "metrics.jsonl", "scores.json", "estimator.json", "README.md")
"""The files of a run that others get: nothing of its data, and no more is taken from others."""
_FILES = (*SHARED, "checkpoint.safetensors")
_SCORES, _EPOCH = TypeAdapter(list[Score]), TypeAdapter(Epoch)
Ending = Literal["finished", "early", "interrupted", "non-finite", "failed"]


class DataCard(BaseModel):
    """What a run remembers of its data: enough to rebuild the model, and to tell whether other data are the same."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Kind
    shape: tuple[int, ...]
    train: int
    valid: int
    test: int
    classes: tuple[str, ...] | None
    fingerprint: str
    columns: tuple[Column, ...] = ()
    condition_columns: tuple[Column, ...] = ()

    @classmethod
    def of(cls, dataset: Dataset) -> "DataCard":
        """The card of a data set."""
        sizes = {"train": len(dataset.supply), "valid": len(dataset.valid), "test": len(dataset.test)}
        facts = {
            name: getattr(dataset, name)
            for name in ("name", "kind", "shape", "classes", "fingerprint", "columns", "condition_columns")
        }
        return cls(**facts, **sizes)


class Outcome(BaseModel):
    """How training ended: the history without its epochs."""

    model_config = ConfigDict(frozen=True)

    ended: Ending
    kept: int
    epochs: int
    seconds: float


class ReferenceScores(BaseModel):
    """How probable examples of the usual kind are that a model has not seen.

    Attributes:
        log_px: of each, in nats.
        samples: K, draws of z for each.
        seed: of the draws.
    """

    model_config = ConfigDict(frozen=True)

    log_px: tuple[float, ...]
    samples: Annotated[int, Field(ge=1)]
    seed: int


class Estimator(BaseModel):
    """What a scikit-learn estimator is, beside its model.

    Attributes:
        name: of its class.
        parameters: of itself, without the one that is a `VariationalAutoencoder`.
        model: parameters of the `VariationalAutoencoder`.
        frame: what it learned from.
        names: of the columns of a frame.
        features: how many those were.
        usual: of the rows that were held out to say so.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    parameters: dict[str, JsonValue]
    model: dict[str, JsonValue]
    frame: Literal["array", "pandas", "polars"]
    names: tuple[int | str, ...]
    features: int
    usual: ReferenceScores | None = None


@dataclass
class Run:
    """A run folder in memory.

    Attributes:
        folder: where it is; an address on the hub, to which nothing is written.
        config: everything the run was a function of, as it was given.
        resolved: the model's part of it, with what the data decided.
        data: what the data were.
        model: with the weights that were kept, in evaluation mode.
        epochs: in order.
        scores: held-out numbers.
        weights: the epoch after which the weights were written.
        outcome: how training ended; None while it has not.
        state: what training goes on from; None before its first epoch and after its end.
        estimator: the rest of a scikit-learn estimator, if it is one.
    """

    folder: Path
    config: Config
    resolved: ModelConfig
    data: DataCard
    model: VAE
    epochs: list[Epoch] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    weights: int = 0
    outcome: Outcome | None = None
    state: State | None = None
    estimator: Estimator | None = None

    @property
    def finished(self) -> bool:
        """Whether training has ended by itself, and not been cut off."""
        return self.outcome is not None and self.outcome.ended in ("finished", "early")

    def load_data(self, data_dir: str | None = None) -> Dataset:
        """The data the run was trained on, with the same splits.

        Raises:
            BadInput: they cannot be read, or are not the same.
        """
        if self.config.data.source == IN_MEMORY:
            raise BadInput(
                f"{self.folder} learned from data in memory, which it does not hold and this needs: do it in Python"
            )
        settings = self.config.data.model_dump()
        dataset = load_data(**settings | ({"data_dir": data_dir} if data_dir else {}))
        self.require(dataset)
        return dataset

    def read_data(self, source: str, data_dir: str | None = None) -> Examples:
        """Examples of another source, as the model takes them.

        Raises:
            BadInput: they cannot be read, or the model did not learn from such data.
        """
        data, settings = self.data, self.config.data
        place = data_dir or settings.data_dir
        learnt = (data.kind, data.shape, data.columns, data.condition_columns)
        like = DataSpec(*learnt, settings.binarize, settings.image_size, settings.split_seed, place)
        return read(source, like)

    def usual(self, samples: int, *, seed: int = 0, data_dir: str | None = None) -> ReferenceScores | None:
        """How probable held-out examples are; None where the data were in memory and none of them were held out.

        Args:
            samples: K, draws of z for each, where they have not been measured before.
            seed: likewise.
            data_dir: as in `load_data`.
        """
        if self.estimator:
            return self.estimator.usual
        found = per_example(self.model, self.load_data(data_dir).test.materialize(), samples, seed=seed).log_px
        return ReferenceScores(log_px=found.tolist(), samples=samples, seed=seed)

    def require(self, dataset: Dataset) -> None:
        """Refuse data that are not those of the run.

        Raises:
            BadInput: they are others.
        """
        same = ("fingerprint", "kind", "shape", "columns", "condition_columns")
        if any(getattr(dataset, name) != getattr(self.data, name) for name in same):
            raise BadInput(
                f"{self.config.data.source} is not what {self.folder} was trained on any more:"
                " bring the data back, or train again"
            )

    def append(self, epoch: Epoch) -> None:
        """Add one line to metrics.jsonl."""
        self.epochs.append(epoch)
        with _explained(self.folder), (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(_line(epoch))

    def close(self, ended: Ending, kept: int) -> None:
        """Record how training ended, the weights that were kept, and what it can go on from where it was cut off.

        Failing before the first epoch leaves nothing.
        """
        if not self.epochs and ended in ("non-finite", "failed"):
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        seconds = sum(epoch.seconds for epoch in self.epochs)
        self.outcome = Outcome(ended=ended, kept=kept, epochs=len(self.epochs), seconds=seconds)
        self.save_model(kept)
        self.save_scores([])
        self.save_state()
        self.state = None

    def save_model(self, epoch: int) -> None:
        """Write the weights as they are after an epoch."""
        self.weights = epoch
        _write(self.folder / "model.safetensors", _weights(self.model, epoch))

    def save_state(self) -> None:
        """Write what training goes on from; remove it where training has ended by itself."""
        checkpoint = self.folder / "checkpoint.safetensors"
        with _explained(checkpoint):
            if self.finished:
                checkpoint.unlink(missing_ok=True)
            elif self.state:
                if self.epochs:
                    _flush(self.folder / "metrics.jsonl")  # which must not be behind the checkpoint
                _write(checkpoint, _packed_state(self.state))

    def rewind(self) -> None:
        """Go back to the last checkpoint, or to before the first epoch, and drop what was written after it.

        Raises:
            BadInput: a file is damaged, or belongs to another model.
        """
        self.state = _load_state(self.model, self.folder / "checkpoint.safetensors")
        made, metrics = self.state.number if self.state else 0, self.folder / "metrics.jsonl"
        with _damaged(metrics):
            if made > len(self.epochs):
                raise ValueError(f"it has {len(self.epochs)} epochs, and checkpoint.safetensors is of epoch {made}")
        self.epochs, self.scores, self.outcome = self.epochs[:made], [], None
        with _explained(self.folder):
            (self.folder / "scores.json").unlink(missing_ok=True)
            for name in _FILES:
                for half_written in self.folder.glob(_temporary(Path(name), "*")):
                    half_written.unlink()
        _write(metrics, "".join(map(_line, self.epochs)).encode())

    def save_scores(self, scores: list[Score]) -> None:
        """Write scores, in place of earlier ones of the same name, split, estimator, draws and examples.

        Of a run on the hub they are kept in memory alone.
        """
        fresh = {_key(score) for score in scores}
        self.scores = [score for score in self.scores if _key(score) not in fresh] + scores
        if not is_address(self.folder):
            _write(self.folder / "scores.json", self._scores())

    def _scores(self) -> bytes:
        outcome = self.outcome.model_dump() if self.outcome else None
        return _json({"scores": [asdict(score) for score in self.scores], "training": outcome})

    def _config(self) -> bytes:
        recorded = {
            "format": FORMAT,
            "aevb": version("aevb"),
            "dataset": self.data.model_dump(mode="json"),
            "resolved": self.resolved.model_dump(mode="json"),
        }
        return _json(recorded | self.config.model_dump(mode="json"))

    def save_figure(self, name: str, draw: Callable[[Path], object]) -> None:
        """Put a picture that `draw` writes into figures/."""
        if (self.folder / "figures").is_symlink():  # which a folder from elsewhere may have as a link to anywhere
            raise BadInput(f"{self.folder / 'figures'} is a link to another place: remove it")
        write(self.folder / "figures" / f"{name}.png", draw)

    def evaluate(self, dataset: Dataset, split: Split = "test", *, samples: int = 1000, seed: int = 0) -> list[Score]:
        """Measure the model on one split and add the scores to scores.json."""
        scores = evaluate(self.model, dataset, split, samples=samples, seed=seed)
        self.save_scores(scores)
        return scores


def create(folder: Path, config: Config, resolved: ModelConfig, dataset: Dataset, model: VAE) -> Run:
    """Make a run folder with its configuration and the initial weights.

    Args:
        folder: must not exist yet, or be empty.
        config: as given.
        resolved: the model's part, resolved.
        dataset: what the model will be trained on.
        model: freshly built.

    Raises:
        BadInput: the folder is taken or cannot be written, or there is no space.
    """
    run = Run(folder, config, resolved, DataCard.of(dataset), model)
    _make(folder, {"model.safetensors": _weights(model, 0), "config.json": run._config()})
    return run


def save(run: Run, folder: Path, card: str) -> None:
    """Write a whole run into a folder for others: nothing in it is of the data, or names a place on this machine.

    Args:
        run: in float32 or float64; float32 is written.
        folder: must not exist yet, or be empty.
        card: the model card.

    Raises:
        BadInput: the folder is taken or cannot be written, or there is no space.
    """
    source = {"source": Path(run.config.data.source).name, "data_dir": None}
    config = run.config.model_copy(update={"data": run.config.data.model_copy(update=source)})
    run = replace(run, config=config)
    files = {
        "model.safetensors": _weights(copy.deepcopy(run.model).float(), run.weights),
        "metrics.jsonl": "".join(map(_line, run.epochs)).encode(),
        "scores.json": run._scores(),
        "README.md": card.encode(),
    }
    files |= {"estimator.json": _json(run.estimator.model_dump(mode="json"))} if run.estimator else {}
    _make(folder, files | {"config.json": run._config()})


def _make(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder of files appear in one step, with config.json as the last of them where it is there already."""
    with _explained(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BadInput(f"{folder} is there already: choose another --out, or remove it")
        place = folder.resolve()
        place.parent.mkdir(parents=True, exist_ok=True)
        _require_space(place, 11 * len(files["model.safetensors"]))
        temporary = Path(tempfile.mkdtemp(prefix=".aevb-", dir=place.parent))
        try:
            for name, content in files.items():
                _write(temporary / name, content)
            _put(temporary, place, files)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def _put(temporary: Path, place: Path, names: Iterable[str]) -> None:
    """Make a folder appear in one step; one that is there, perhaps the working folder, is filled instead."""
    if place.exists():
        for name in names:
            (temporary / name).replace(place / name)
        temporary.rmdir()
    else:
        temporary.chmod(0o755)
        temporary.replace(place)


def _require_space(folder: Path, weights: int) -> None:
    """A checkpoint is up to five times as large as the weights, and old and new ones lie side by side for a moment.

    Pictures and scores take a few megabytes.
    """
    need = weights + 2**24
    if shutil.disk_usage(folder.parent).free < need:
        raise BadInput(f"no space left for {folder}: a run of this size takes about {need / 2**20:.0f} MB")


def load(folder: str | Path, device: torch.device | str = "cpu") -> Run:
    """Load a run folder: its configuration, model, metrics and scores.

    Args:
        folder: where it is, or an address on the hub, hub:OWNER/NAME or hub:OWNER/NAME@REVISION.
        device: where its model goes.

    Raises:
        BadInput: there is no run, a file is missing or damaged, or a newer version wrote it.
    """
    if is_address(folder):
        return replace(load(fetch(str(folder), SHARED), device), folder=Path(folder))
    folder = Path(folder)
    with _explained(folder, "read"):
        if not (folder / "config.json").is_file():
            raise BadInput(f"{folder} is not a run folder: it has no config.json, which aevb train --out writes")
    config, resolved, card = _read_config(folder / "config.json")
    pieces, file = (resolved, card.shape, card.columns, card.condition_columns), folder / "model.safetensors"
    with _damaged(folder / "config.json"):
        _require_weights(weight(*pieces), file)
        model = build(*pieces)
    weights = _load_weights(model, file)
    run = Run(folder, config, resolved, card, model.to(device).eval(), weights=weights)
    run.epochs = _read_epochs(folder / "metrics.jsonl")
    if (folder / "scores.json").is_file():
        content = _read_json(folder / "scores.json")
        with _damaged(folder / "scores.json"):
            run.scores = _SCORES.validate_python(content["scores"])
            run.outcome = Outcome(**content["training"]) if content["training"] else None
    if (folder / "estimator.json").is_file():
        content = _read_json(folder / "estimator.json")
        with _damaged(folder / "estimator.json"):
            run.estimator = Estimator(**content)
    return run


def find(folder: Path, config: Config) -> Run | None:
    """The run that a folder has already; None where it has none.

    Raises:
        BadInput: another configuration made it, or it is damaged.
    """
    if not (folder / "config.json").is_file():
        return None
    run = load(folder)
    if run.config.without_place() != config.without_place():
        raise BadInput(f"{folder} was made with another configuration: choose another --out, or remove it")
    return run


def reopen(folder: Path, config: Config, dataset: Dataset, model: VAE) -> Run | None:
    """The run that a folder has already, at its last checkpoint; None where it has none, or a finished one.

    Args:
        folder: where it may be.
        config: as given.
        dataset: what the model is trained on.
        model: freshly built; `fit` puts it into the state of the run.

    Raises:
        BadInput: another configuration or other data made it, or it is damaged.
    """
    run = find(folder, config)
    if run is None or run.finished:
        return None
    run.require(dataset)
    run.model = model
    run.rewind()
    return run


def joined(folder: Path, config: Config, model: VAE) -> Run:
    """The run that another process of the job has just made or reopened, which alone writes to it.

    Args:
        folder, config, model: as in `reopen`.

    Raises:
        BadInput: there is none, as where processes do not see the same files.
    """
    run = find(folder, config)
    if run is None:
        raise BadInput(f"{folder} is not to be seen by all processes: choose an --out that they share")
    run.model, run.state = model, _load_state(model, folder / "checkpoint.safetensors")
    return run


def _key(score: Score) -> tuple[object, ...]:
    return score.name, score.split, score.estimator, score.samples, score.examples


def _weights(model: VAE, epoch: int) -> bytes:
    return _packed(model.state_dict(), epoch=epoch)


def _packed_state(state: State) -> bytes:
    # Written once where they are the same.
    best = {} if state.best.number == state.number and not state.within else state.best.weights
    optimizer = {f"{place}.{name}": tensor for place, of in state.optimizer.items() for name, tensor in of.items()}
    within = {"totals": state.within.totals, "stream": state.within.stream} if state.within else {}
    parts = {"model": state.weights, "averages": state.averages, "best": best, "optimizer": optimizer, "within": within}
    tensors = {f"{part}.{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
    step = state.within.step if state.within else 0
    return _packed(tensors, epoch=state.number, step=step, best=state.best.number, merit=state.best.merit)


def _packed(tensors: Mapping[str, Tensor], **facts: float) -> bytes:
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save_tensors(content, metadata={name: str(value) for name, value in facts.items()})


def _unpacked(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    content = path.read_bytes()
    tensors = load_tensors(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")], object_pairs_hook=_once)
    return tensors, header["__metadata__"]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, whose names differ."""
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()


def write(path: Path, draw: Callable[[Path], object]) -> None:
    """Let `draw` write a temporary file beside `path`, which then takes its place: whole or not at all.

    Raises:
        BadInput: it cannot be written.
    """
    require_here(path)
    temporary = path.with_name(_temporary(path, os.getpid()))
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.unlink(missing_ok=True)  # not through a link that somebody has put there
            draw(temporary)
            _flush(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def require_here(path: Path) -> None:
    """Refuse to write to the hub as if it were a folder.

    Raises:
        BadInput: it is.
    """
    if is_address(path):
        raise BadInput(f"{path} is not on this machine: give --out, or fetch the run first with aevb pull")


def _temporary(path: Path, process: object) -> str:
    return f".{path.stem}-{process}{path.suffix}"


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _write(path: Path, content: bytes) -> None:
    write(path, lambda temporary: temporary.write_bytes(content))


@contextmanager
def _explained(path: Path, action: Literal["read", "write"] = "write") -> Iterator[None]:
    """An error of the file system in one line."""
    try:
        yield
    except OSError as error:
        raise BadInput(f"cannot {action} {path}: {(error.strerror or str(error)).lower()}") from error


@contextmanager
def _damaged(path: Path) -> Iterator[None]:
    """Content that is not what a run folder holds, in one line."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:  # what is not what it should be can go wrong anywhere
        raise BadInput(f"{path} is damaged or was not written by aevb: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{type(error).__name__} {error}" if isinstance(error, LookupError) else str(error)


def _read_json(path: Path) -> Any:
    with _damaged(path):
        return _parsed(path.read_text(encoding="utf-8"))


def _parsed(text: str) -> Any:
    """JSON, whose numbers are finite."""
    return json.loads(text, parse_constant=_finite, parse_float=_finite)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number


def _read_config(path: Path) -> tuple[Config, ModelConfig, DataCard]:
    content = _read_json(path)
    with _damaged(path):
        if not isinstance(content, dict):
            raise TypeError(f"expected an object, got a {type(content).__name__}")
        given = configuration(content, path)
        return Config(**given), ModelConfig(**content["resolved"]), DataCard(**content["dataset"])


def configuration(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """The part of a run's config.json that is its configuration, without what is only recorded there.

    Raises:
        BadInput: a newer version wrote it.
    """
    found = content.get("format", FORMAT)
    if not isinstance(found, int) or found > FORMAT:
        raise BadInput(
            f"{path} has format {found!r}, of aevb {content.get('aevb')}, and this version reads up to"
            f" {FORMAT}: install that version or a newer one"
        )
    return {key: value for key, value in content.items() if key not in ("format", "aevb", "dataset", "resolved")}


def _require_weights(needed: float, path: Path) -> None:
    """Refuse a model that has more weights than a file can hold, before memory is taken for them."""
    if not path.is_file():
        raise BadInput(f"{path} is missing, or no regular file: bring it back, or train again")
    if (found := path.stat().st_size) < needed:
        raise BadInput(
            f"{path} is damaged or was not written by aevb: it has {found} bytes, and the model in config.json takes"
            f" {needed:.0f}"
        )


def _load_weights(model: VAE, path: Path) -> int:
    """Put the weights into the model; the epoch after which they were written."""
    with _damaged(path):
        tensors, facts = _unpacked(path)
        model.load_state_dict(tensors)
        for name, tensor in model.state_dict().items():
            if not tensor.isfinite().all():
                raise ValueError(f"{name} holds numbers that are not finite")
        return int(facts["epoch"])


def _load_state(model: VAE, path: Path) -> State | None:
    """A checkpoint, which must suit the model; None where there is none."""
    if not path.is_file():
        return None
    with _damaged(path):
        tensors, facts = _unpacked(path)
        number, step, best = int(facts["epoch"]), int(facts.get("step", 0)), int(facts["best"])
        weights, averages = _part("model", tensors), _part("averages", tensors)
        optimizer = dict[int, dict[str, Tensor]]()
        for name, tensor in _part("optimizer", tensors).items():
            place, _, name = name.partition(".")
            optimizer.setdefault(int(place), {})[name] = tensor
        within = EpochPosition(step, tensors["within.totals"], tensors["within.stream"]) if step else None
        kept = (averages or weights) if best == number and not within else _part("best", tensors)
        for suitable in (*([kept] if best else []), *([averages] if averages else []), weights):
            model.load_state_dict(suitable)
        return State(number, weights, optimizer, Best(best, float(facts["merit"]), kept), within, averages)


def _part(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}."): tensor for name, tensor in tensors.items() if name.startswith(f"{part}.")}


def _read_epochs(path: Path) -> list[Epoch]:
    """The whole lines of a file: one that was cut off while it was written does not count."""
    if not path.is_file():
        return []
    with _damaged(path):
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        return [_epoch(**_parsed(line)) for line in lines]


def _line(epoch: Epoch) -> str:
    return json.dumps(_without_infinities(asdict(epoch)), allow_nan=False) + "\n"


_INFINITE = {"bound": -math.inf, "rate": math.inf}
"""What is infinite in an autoencoder, and null in the file: JSON has no infinities."""


def _without_infinities(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_infinities(value) for key, value in content.items()}
    return None if content in _INFINITE.values() else content


def _epoch(number: int, seconds: float, train: dict[str, Any], valid: dict[str, Any] | None) -> Epoch:
    facts = {"number": number, "seconds": seconds, "train": _infinite(train), "valid": valid and _infinite(valid)}
    return _EPOCH.validate_python(facts)


def _infinite(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _INFINITE[name] if value is None else value for name, value in values.items()}
