"""Loggers: what they are told, what lies in their files, and that none of them can end a run."""

import json
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aevb.cli.app import main
from aevb.config.schema import Config
from aevb.errors import BadInput, Notice
from aevb.evaluation import Score
from aevb.runs.run_folder import RunFolder
from aevb.training.history import Epoch, EpochMetrics
from aevb.workflow.fitting import fit_run, fit_runs
from aevb.workflow.loggers import (
    LOGGERS,
    LoggerGroup,
    MLflow,
    TensorBoard,
    Trackio,
    WandB,
    epoch_metrics,
    open_loggers,
    score_metrics,
)
from tests.conftest import some
from tests.runs.test_resume import config, cut_off, data, press

QUICK = ["--model.hidden", "4", "--train.epochs", "3", "--n-importance-samples", "2", "--device", "cpu", "--no-report"]


class Noting:
    """A user's own logger."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def begin(self, run: RunFolder) -> None:
        self.told.append((run.folder.name, [epoch.number for epoch in run.epochs]))

    def epoch(self, epoch: Epoch) -> None:
        self.told.append(epoch)

    def scores(self, scores: Sequence[Score]) -> None:
        self.told.append([score.name for score in scores])

    def close(self) -> None:
        self.told.append("closed")


class Failing(Noting):
    """One that fails when it is told something for the n-th time."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def __getattribute__(self, name: str) -> Any:
        if name in ("begin", "epoch", "scores", "close") and len(self.told) + 1 == self.at:
            raise OSError("no space left\nanywhere")
        return super().__getattribute__(name)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a folder: values by tag, each with its step."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def agree(shown: dict[str, list[tuple[int, float]]], folder: Path) -> None:
    """Every epoch once, with the numbers of metrics.jsonl."""
    lines = metrics(folder)
    for part in ("train", "valid"):
        for name in ("loss", "bound", "rate", "distortion"):
            steps, values = zip(*shown[f"{part}/{name}"], strict=True)
            assert list(steps) == [line["number"] for line in lines]
            assert list(values) == pytest.approx([line[part][name] for line in lines], rel=1e-6)
    assert [step for step, _ in shown["seconds"]] == [line["number"] for line in lines]


def test_what_a_logger_is_told(tmp_path: Path) -> None:
    logger = Noting()
    run = fit_run(config(), tmp_path / "run", data(), loggers=[logger])
    assert logger.told == [("run", []), *run.epochs]


def test_each_of_several_runs_has_its_own(tmp_path: Path) -> None:
    chosen = [Config.model_validate({"model": {"hidden": [4]}, "train": {"epochs": 2}, "seed": n}) for n in range(2)]
    told = [Noting(), Noting()]
    places = [(one, tmp_path / str(seed)) for seed, one in enumerate(chosen)]
    made = fit_runs(places, data(), loggers=[[one] for one in told])
    for seed, (logger, run) in enumerate(zip(told, made, strict=True)):
        assert logger.told == [(str(seed), []), *run.epochs]


def test_a_run_that_goes_on_says_what_it_has(tmp_path: Path) -> None:
    cut_off(tmp_path / "run", config())
    logger = Noting()
    fit_run(config(), tmp_path / "run", data(), resume=True, loggers=[logger])
    first, *epochs = logger.told
    assert first == ("run", [1, 2, 3, 4, 5])
    assert [epoch.number for epoch in epochs if isinstance(epoch, Epoch)] == [6, 7, 8]


@pytest.mark.parametrize("at", [1, 4])
def test_one_that_fails_ends_nothing(tmp_path: Path, at: int) -> None:
    """It is told of once, in a line, and the others go on."""
    failing, logger = Failing(at), Noting()
    with pytest.warns(Notice, match="^Failing stopped logging: no space left$") as caught:
        run = fit_run(config(), tmp_path / "run", data(), loggers=[failing, logger])
    assert len(caught) == 1
    assert run.finished
    assert len(failing.told) == at - 1
    assert logger.told[1:] == run.epochs
    fit_run(config(), tmp_path / "whole", data())
    assert (tmp_path / "run/model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()


def test_ctrl_c_is_no_failure(tmp_path: Path) -> None:
    class Pressing(Noting):
        def epoch(self, epoch: Epoch) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_run(config(), tmp_path / "run", data(), loggers=[Pressing()])


def test_who_was_never_begun_is_not_closed() -> None:
    logger = Noting()
    LoggerGroup([logger]).close()
    assert logger.told == []


def test_infinite_numbers_are_left_out() -> None:
    epoch = Epoch(1, 0.5, EpochMetrics(2.0, -float("inf"), float("inf"), 2.0), None)
    assert epoch_metrics(epoch) == {"train/loss": 2.0, "train/distortion": 2.0, "seconds": 0.5}


def test_tensorboard_shows_every_epoch(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with open_loggers(["tensorboard"]) as logger:
        run = fit_run(config(keep="best"), tmp_path / "run", data(), loggers=[logger])
        logger.scores(run.evaluate(data(), n_importance_samples=2))
    shown = scalars(run.folder / "tensorboard")
    agree(shown, run.folder)
    for name, value in score_metrics(run.scores).items():
        ((step, written),) = shown[name]
        assert step == run.weights_epoch
        assert written == pytest.approx(value, rel=1e-6)
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize("after", [2, 17])
def test_tensorboard_goes_on_where_the_run_does(tmp_path: Path, after: int) -> None:
    """Epochs that were made and logged after the last checkpoint are made and shown once."""
    pytest.importorskip("tensorboard")
    folder, chosen = tmp_path / "run", config(checkpoint_every="60s")
    fit_run(chosen, folder, data(), on_step=press(after), loggers=[TensorBoard()])
    epochs = after // 3
    logger = TensorBoard()
    logger.begin(RunFolder.load(folder))
    for number in range(epochs + 1, epochs + 3):  # as if it had been killed two epochs later
        logger.epoch(Epoch(number, 1.0, *[EpochMetrics(-1.0, -1.0, -1.0, -1.0)] * 2))
    logger.close()
    fit_run(chosen, folder, data(), resume=True, loggers=[TensorBoard()])
    shown = scalars(folder / "tensorboard")
    assert len(shown["train/loss"]) == 8
    agree(shown, folder)


class Kept:
    """What a stand-in for Trackio remembers of a run."""

    def __init__(self, library: "Library", name: str, config: dict[str, Any]) -> None:
        self.library, self.name, self.config = library, name, config
        self.logged: dict[str, list[tuple[int, float]]] = {}

    def delete(self) -> bool:
        self.library.kept.remove(self)
        return True


class Library(ModuleType):
    """A stand-in for Trackio with the five calls that are made of it, which prints as it does."""

    def __init__(self) -> None:
        super().__init__("trackio")
        self.kept: list[Kept] = []
        self.finished = 0

    def init(self, *, project: str, name: str, config: dict[str, Any]) -> None:
        print(f"* Trackio project initialized: {project}")
        self.kept.append(Kept(self, name, config))

    def log(self, metrics: dict[str, float], step: int) -> None:
        for name, value in metrics.items():
            self.kept[-1].logged.setdefault(name, []).append((step, value))

    def finish(self) -> None:
        print("* RunFolder finished")
        self.finished += 1

    def Api(self) -> "Library":
        return self

    def runs(self, project: str) -> list[Kept]:
        if not self.kept:
            raise ValueError(f"Project '{project}' does not exist")
        return list(self.kept)


@pytest.fixture
def trackio(monkeypatch: pytest.MonkeyPatch) -> Library:
    library = Library()
    monkeypatch.setitem(sys.modules, "trackio", library)
    return library


def test_trackio_keeps_every_epoch_once(trackio: Library, tmp_path: Path) -> None:
    """Also of a run that was cut off; one of the same name in another folder is left alone."""
    cut_off(tmp_path / "other" / "run", config())
    folder, chosen = tmp_path / "run", config()
    for place in (tmp_path / "other" / "run", folder):
        fit_run(chosen, place, data(), resume=True, on_step=press(14), loggers=[Trackio()])
    fit_run(chosen, folder, data(), resume=True, loggers=[Trackio()])
    assert [kept.name for kept in trackio.kept] == ["run", "run"]
    assert [kept.config["folder"] for kept in trackio.kept] == [str(tmp_path / "other" / "run"), str(folder)]
    agree(trackio.kept[1].logged, folder)


class Online(ModuleType):
    """A stand-in for Weights & Biases with a server, which drops steps that it has."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.runs: dict[str, dict[int, dict[str, float]]] = {}
        self.summary: dict[str, float] = {}

    def Settings(self, *, console: str) -> str:
        return console

    def init(self, *, id: str | None, **_: object) -> "Online":
        self.id = id or f"run-{len(self.runs)}"
        self.step = max(self.runs.setdefault(self.id, {}), default=-1) + 1
        return self

    def log(self, metrics: dict[str, float], step: int, commit: bool) -> None:
        assert commit
        if step >= self.step:
            self.runs[self.id][step], self.step = metrics, step + 1

    def finish(self) -> None:
        pass

    def shown(self, run: str) -> dict[str, list[tuple[int, float]]]:
        return by_name(list(self.runs[run].items()))


def by_name(steps: Sequence[tuple[int, dict[str, float]]]) -> dict[str, list[tuple[int, float]]]:
    """Values by name, each with its step."""
    names = {name for _, values in steps for name in values}
    return {name: [(step, values[name]) for step, values in steps if name in values] for name in names}


def wandb_records(file: Path) -> Iterator[Any]:
    """The records in an offline file: a log of LevelDB, after a header of 7 bytes, in blocks of 32 KiB."""
    protocol = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    content, at, parts = file.read_bytes(), 7, b""
    while at + 7 <= len(content):
        if (left := 2**15 - at % 2**15) < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        parts, at = parts + content[at + 7 : at + 7 + length], at + 7 + length
        if kind in (1, 4):  # the whole record, or its last part
            yield protocol.Record.FromString(parts)
            parts = b""


def finished_records(folder: Path) -> list[Any]:
    """The records of the latest offline part, which another process writes."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        (file,) = (folder / "latest-run").resolve().glob("*.wandb")
        records = list(wandb_records(file))
        if any(record.WhichOneof("record_type") == "exit" for record in records):
            return records
        time.sleep(0.1)
    raise AssertionError(f"{folder} is not finished")


def wandb_offline(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What Weights & Biases would show of the latest offline part of a run, and its summary at step 0."""
    steps = list[tuple[int, dict[str, float]]]()
    for record in finished_records(folder / "wandb"):
        kind = record.WhichOneof("record_type")
        if kind == "history":
            values = {"".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            steps.append((record.history.step.num, values))
        elif kind == "summary":
            summary = {item.key: json.loads(item.value_json) for item in record.summary.update if item.key}
            steps.append((0, {name: value for name, value in summary.items() if name.startswith("scores/")}))
    return by_name(steps)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")


def mlflow_shown(identifier: str) -> dict[str, list[tuple[int, float]]]:
    """What MLflow shows of a run."""
    client = pytest.importorskip("mlflow").MlflowClient()
    names = client.get_run(identifier).data.metrics
    return {name: [(one.step, one.value) for one in client.get_metric_history(identifier, name)] for name in names}


@pytest.fixture
def tracking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """MLflow with a database of its own."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return mlflow.MlflowClient


DATABASE = pytest.mark.filterwarnings(  # warnings within MLflow about its database
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def press_twice(folder: Path, name: str) -> RunFolder:
    """A run that is interrupted after the second and after the fourth epoch, and resumed."""
    for after in (6, 6, 100):
        with open_loggers([name]) as logger:
            run = fit_run(config(), folder, data(), resume=True, on_step=press(after), loggers=[logger])
    return run


@pytest.mark.usefixtures("offline")
def test_an_offline_part_of_weights_and_biases_has_every_epoch(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with open_loggers(["wandb"]) as logger:
        fit_run(config(), folder, data(), on_step=press(14), loggers=[logger])
    identifier = (folder / "wandb" / "run-id.txt").read_text()
    with open_loggers(["wandb"]) as logger:
        run = fit_run(config(), folder, data(), resume=True, loggers=[logger])
        logger.scores(run.evaluate(data(), n_importance_samples=2))
    assert (folder / "wandb" / "run-id.txt").read_text() == identifier
    shown = wandb_offline(folder)
    agree(shown, folder)
    assert {name: shown[name][0][1] for name in score_metrics(run.scores)} == pytest.approx(score_metrics(run.scores))


def test_weights_and_biases_continues_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "wandb", wandb := Online())
    run = press_twice(tmp_path / "run", "wandb")
    fit_run(config(), tmp_path / "other", data(), loggers=[WandB()])
    assert list(wandb.runs) == ["run-0", "run-1"]
    agree(wandb.shown("run-0"), run.folder)


@DATABASE
def test_mlflow_continues_the_run(tracking: Any, tmp_path: Path) -> None:
    run = press_twice(tmp_path / "run", "mlflow")
    identifier = (run.folder / "mlflow" / "run-id.txt").read_text().strip()
    agree(mlflow_shown(identifier), run.folder)
    logged = tracking().get_run(identifier)
    assert (logged.info.run_name, logged.info.status) == ("run", "FINISHED")
    assert logged.data.params["train.lr"] == str(run.config.train.lr)
    assert logged.data.params["seed"] == "0"


@DATABASE
def test_epochs_after_the_last_checkpoint_appear_once(tracking: Any, tmp_path: Path) -> None:
    """As if it had been killed two epochs after its checkpoint, which are the same again."""
    folder = tmp_path / "run"
    whole = fit_run(config(), tmp_path / "whole", data())
    fit_run(config(), folder, data(), on_step=press(6), loggers=[MLflow()])
    logger = MLflow()
    logger.begin(RunFolder.load(folder))
    for epoch in whole.epochs[2:4]:
        logger.epoch(epoch)
    logger.close()
    assert tracking().get_run(logger.id).info.status == "KILLED"
    run = fit_run(config(), folder, data(), resume=True, loggers=[MLflow()])
    shown = mlflow_shown(logger.id)
    shown["seconds"] = [(step, 0.0) for step, _ in shown["seconds"]]
    agree(shown, run.folder)


@DATABASE
@pytest.mark.usefixtures("offline", "tracking")
def test_the_command_logs_to_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["train", *QUICK, "--logger", "wandb", "mlflow", "--json", "--out", "run"])
    assert not caught.value.code
    scores = {
        f"scores/{one['split']}/{one['name']}": one["value"] for one in json.loads(capsys.readouterr().out)["scores"]
    }
    for shown in (wandb_offline(Path("run")), mlflow_shown(Path("run/mlflow/run-id.txt").read_text().strip())):
        agree(shown, tmp_path / "run")
        assert {name: shown[name][0][1] for name in scores} == pytest.approx(scores, rel=1e-6)


def test_the_command_logs_and_says_nothing_of_it(
    trackio: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["train", *QUICK, "--logger", "trackio", "tensorboard", "--json", "--out", "run"])
    assert not caught.value.code
    printed = json.loads(capsys.readouterr().out)
    shown = scalars(tmp_path / "run" / "tensorboard")
    for found in (shown, trackio.kept[0].logged):
        agree(found, tmp_path / "run")
        scores = {f"scores/{score['split']}/{score['name']}": score["value"] for score in printed["scores"]}
        assert {name: found[name][0][1] for name in scores} == pytest.approx(scores, rel=1e-6)
    assert trackio.finished == 1


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["train", *QUICK, *words])
    assert caught.value.code == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


@pytest.mark.parametrize("name", list(LOGGERS))
def test_a_missing_extra_is_told_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for module in ("torch.utils.tensorboard", *LOGGERS):
        monkeypatch.setitem(sys.modules, module, None)
    assert f"pip install 'aevb[{name}]'" in refused(capsys, "--logger", name, "--out", "run")
    assert list(tmp_path.iterdir()) == []


def test_other_words_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "comet" in refused(capsys, "--logger", "comet", "--out", str(tmp_path / "run"))
    assert "--logger supports a single run" in refused(capsys, "--logger", "tensorboard", "--seeds", "2")


def test_a_run_that_cannot_begin_says_that_alone(trackio: Library, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "taken").touch()
    with pytest.raises(BadInput, match="already exists"), open_loggers(["trackio"]) as logger:
        fit_run(config(), tmp_path / "run", some("unit", (1, 8, 8)), loggers=[logger])
    assert trackio.finished == 0
