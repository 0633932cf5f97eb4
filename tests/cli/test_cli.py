"""The commands, as a user types them."""

import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from aevb.cli import app as cli
from aevb.cli import export
from aevb.data.sources import named
from aevb.runs.run_folder import RunFolder
from tests.conftest import mostly_slow

QUICK = ["--model.hidden", "8", "--train.epochs", "2"]


class Result(NamedTuple):
    """What a command left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


@pytest.fixture
def aevb(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Runs a command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AEVB_DATA", raising=False)

    def call(*arguments: object) -> Result:
        with pytest.raises(SystemExit) as stop:
            cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Result(int(stop.value.code or 0), out, err)

    return call


@pytest.fixture
def refused(aevb: Callable[..., Result], tmp_path: Path) -> Callable[..., str]:
    """Runs a command that must be refused: status 2, one line, and not a file more than before. Gives the line."""

    def call(*arguments: object) -> str:
        before = snapshot(tmp_path)
        result = aevb(*arguments)
        assert result.status == 2, result
        assert result.out == ""
        assert result.err.startswith("aevb: ")
        assert result.err.count("\n") == 1
        assert "Traceback" not in result.err
        assert snapshot(tmp_path) == before
        return result.err

    return call


def snapshot(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    with redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as stop:
        cli.main(["train", "--out", str(folder), "--n-importance-samples", "3", *QUICK])
    assert not stop.value.code
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "run")


# The whole way.


def test_train_without_arguments(aevb: Callable[..., Result], tmp_path: Path) -> None:
    result = aevb("train", *QUICK, "--n-importance-samples", 10)
    assert (result.status, result.err) == (0, "")
    for words in (
        "digits: 1258 train, 180 validation, 359 test",
        "binarization: none",
        "importance sampling, K = 10, a lower bound in expectation",
        "log p(x)",
        "±",
    ):
        assert words in result.out
    run = tmp_path / "runs" / "digits-1"
    assert {path.name for path in (run / "figures").iterdir()} == {
        f"{name}.png" for name in ("training", "reconstructions", "samples", "manifold", "latent")
    }
    assert aevb("train", *QUICK, "--n-importance-samples", 2, "--no-report").status == 0
    second = tmp_path / "runs" / "digits-2"
    assert (second / "scores.json").is_file()
    assert not {"figures", "findings.json", "report.html"} & {path.name for path in second.iterdir()}


def test_train_as_json_has_the_scores(aevb: Callable[..., Result]) -> None:
    result = aevb("train", *QUICK, "--n-importance-samples", 5, "--no-report", "--json", "--out", "run")
    content = json.loads(result.out)
    scores = {(score["name"], score["split"]): score for score in content["scores"]}
    assert scores["bound", "test"]["value"] <= scores["log_px", "test"]["value"]
    assert scores["log_px", "test"]["n_importance_samples"] == 5
    assert set(scores["log_px", "test"]) == {
        *("name", "value", "stderr", "split", "estimator", "n_importance_samples", "binarization", "note", "examples")
    }
    assert ("bound", "valid") in scores
    assert content["training"]["epochs"] == 2


def test_evaluate(aevb: Callable[..., Result], run: Path) -> None:
    first, again = (aevb("evaluate", run, "--n-importance-samples", 20, "--json") for _ in range(2))
    assert first == again
    scores = {score["name"]: score for score in json.loads(first.out)["scores"]}
    assert {"bound", "rate", "distortion", "loss_without_constant", "log_px", "squared_error"} < set(scores)
    assert scores["bound"]["value"] <= scores["log_px"]["value"]
    assert scores["bound"]["stderr"] > 0
    table = aevb("evaluate", run, "--n-importance-samples", 20, "--split", "train")
    assert "train" in table.out.splitlines()[5]


@pytest.mark.parametrize(("out", "shape"), [(None, None), ("x.npy", (5, 1, 8, 8)), ("x.png", None)])
def test_sample(aevb: Callable[..., Result], run: Path, out: str | None, shape: Any) -> None:
    options = ["--out", out] if out else []
    result = aevb("sample", run, "--n-samples", 5, "--json", *options)
    content = json.loads(result.out)
    assert content["shape"] == [5, 1, 8, 8]
    path = Path(content["file"])
    assert path == (Path(out) if out else run / "samples.png")
    if path.suffix == ".npy":
        x = np.load(path)
        assert x.shape == shape
        assert 0 <= x.min() <= x.max() <= 1
    else:
        with Image.open(path) as picture:
            assert picture.size[0] >= 500


def test_the_shape_of_a_table_is_that_in_its_file(aevb: Callable[..., Result], tmp_path: Path) -> None:
    rows = "".join(f"{n % 7 / 3},{'ab'[n % 2]},{n % 3},same\n" for n in range(60))
    (tmp_path / "rows.csv").write_text(f"size,kind,level,constant\n{rows}")
    words = ["--model.condition", "kind", "--n-importance-samples", "2", "--no-report", "--out", "run", *QUICK]
    assert aevb("train", "rows.csv", *words).status == 0
    for command in (["sample", "run", "--condition.kind", "a", "--n-samples", "5"], ["reconstruct", "run"]):
        result = json.loads(aevb(*command, "--json").out)
        lines = Path(result["file"]).read_text().splitlines()
        assert result["shape"] == [len(lines) - 1, len(lines[0].split(","))]


def test_sample_with_draw_has_noise_and_a_seed(aevb: Callable[..., Result], run: Path) -> None:
    drawn = []
    for seed, draw in ((0, []), (0, ["--noise"]), (0, ["--noise"]), (1, ["--noise"])):
        aevb("sample", run, "--n-samples", 50, "--seed", seed, "--out", "x.npy", *draw)
        drawn.append(np.load("x.npy"))
    assert drawn[0].min() >= 0 > drawn[1].min()
    assert np.array_equal(drawn[1], drawn[2])
    assert not np.array_equal(drawn[1], drawn[3])


def test_reconstruct(aevb: Callable[..., Result], run: Path) -> None:
    assert aevb("reconstruct", run).out == f"wrote {run / 'reconstructions.png'}\n"
    assert aevb("reconstruct", run, "--n-examples", 4, "--out", "x.npy").status == 0
    pairs = np.load("x.npy")
    assert pairs.shape == (2, 4, 1, 8, 8)
    np.testing.assert_array_equal(pairs[0] * 16, np.round(pairs[0] * 16))
    np.save("new.npy", pairs[0, ::-1])
    assert aevb("reconstruct", run, "new.npy", "--out", "new-pairs.npy").status == 0
    np.testing.assert_allclose(np.load("new-pairs.npy"), pairs[:, ::-1], atol=1e-6)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("network", ["mlp", pytest.param("conv", marks=pytest.mark.slow)])
@pytest.mark.parametrize("binarize", mostly_slow(["treat-as-probabilities", "threshold", "resampled"]))
def test_binarisations_are_named_wherever_a_number_is(
    aevb: Callable[..., Result], likelihood: str, network: str, binarize: str
) -> None:
    options = ["--model.likelihood", likelihood, "--model.network", network, "--data.binarize", binarize]
    options += ["--train.epochs", "1", "--n-importance-samples", "2", "--no-report"]
    result = aevb("train", *options, "--out", "run", "--json")
    assert {score["binarization"] for score in json.loads(result.out)["scores"]} == {binarize}
    assert f"binarization: {binarize}" in aevb("evaluate", "run", "--n-importance-samples", 2).out


def test_train_on_rows(aevb: Callable[..., Result]) -> None:
    np.save("rows.npy", np.random.default_rng(0).normal(size=(60, 3)))
    assert aevb("train", "rows.npy", *QUICK, "--no-report", "--n-importance-samples", 2, "--out", "run").status == 0
    assert aevb("sample", "run").out == f"wrote {Path('run/samples.npy')}\n"
    assert aevb("reconstruct", "run", "--n-examples", 7, "--json").status == 0
    assert np.load("run/reconstructions.npy").shape == (2, 7, 3)


def test_a_run_finds_its_data_from_another_folder(
    aevb: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save("rows.npy", np.random.default_rng(0).normal(size=(60, 3)))
    aevb("train", "rows.npy", *QUICK, "--no-report", "--n-importance-samples", 2, "--out", "run")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert aevb("evaluate", "../run", "--n-importance-samples", 2).status == 0


def test_a_configuration_file_and_options_over_it(aevb: Callable[..., Result]) -> None:
    Path("c.json").write_text(json.dumps({"model": {"hidden": [8], "latent": 3}, "train": {"epochs": 1}, "seed": 4}))
    quick = ["--n-importance-samples", 2, "--no-report"]
    result = aevb("train", "--config", "c.json", "--model.latent", 4, *quick, "--out", "one")
    assert result.status == 0
    config = RunFolder.load("one").config
    assert (config.model.options["hidden"], config.model.latent, config.train.epochs, config.seed) == ((8,), (4,), 1, 4)
    assert aevb("train", "--config", "one/config.json", *quick, "--out", "two").status == 0
    weights = [Path(name, "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_a_run_is_varied_by_its_own_configuration(aevb: Callable[..., Result]) -> None:
    """What the data decided for the one run is not taken as a choice for the other."""
    np.save("rows.npy", 50 * np.random.default_rng(0).normal(size=(60, 3)))
    assert aevb("train", "--train.epochs", 1, "--n-importance-samples", 2, "--out", "run").status == 0
    for options in (["--model.network", "conv"], ["--data.binarize", "threshold", "--model.likelihood", "bernoulli"]):
        result = aevb("train", "--config", "run/config.json", *options, "--n-importance-samples", 2)
        assert result.status == 0, result.err
    assert (
        aevb("train", "rows.npy", "--config", "run/config.json", "--n-importance-samples", 2, "--out", "rows").status
        == 0
    )
    assert RunFolder.load("rows").resolved.options["mean_link"] == "identity"


def test_keys_of_a_configuration_file_may_be_written_as_options(aevb: Callable[..., Result]) -> None:
    Path("c.json").write_text('{"train": {"batch-size": 50, "epochs": 1}, "model": {"posterior-scale": "softplus"}}')
    assert aevb("train", "--config", "c.json", "--no-report", "--n-importance-samples", 2, "--out", "run").status == 0
    assert RunFolder.load("run").config.train.batch_size == 50


@pytest.mark.parametrize(
    "out", ["a[/b]", *(pytest.param(out, marks=pytest.mark.slow) for out in (".", "r[a]", "with space", "deep/er"))]
)
def test_odd_names_of_folders(aevb: Callable[..., Result], out: str) -> None:
    result = aevb("train", *QUICK, "--n-importance-samples", 2, "--out", out)
    assert result.status == 0, result.err
    assert f"run       {Path(out)}, page in report.html" in result.out
    assert (Path(out) / "figures" / "samples.png").is_file()


def test_the_smallest_set(aevb: Callable[..., Result]) -> None:
    """Ten rows: one example chooses the weights and has no standard error."""
    np.save("rows.npy", np.random.default_rng(0).normal(size=(10, 2)))
    result = aevb("train", "rows.npy", *QUICK, "--n-importance-samples", 2, "--json", "--out", "run")
    assert (result.status, result.err) == (0, "")
    scores = {(score["name"], score["split"]): score for score in json.loads(result.out)["scores"]}
    assert scores["bound", "valid"]["stderr"] is None
    assert scores["bound", "test"]["stderr"] > 0


@pytest.mark.slow
def test_units_of_the_data_do_not_matter(aevb: Callable[..., Result]) -> None:
    """In other units the same run, with all log-densities moved by the logarithm of the units' ratio."""
    x = np.random.default_rng(0).normal(size=(200, 3)) @ np.array([[2.0, 0, 1], [0, 1, 1], [0, 0, 0.5]])
    bounds = []
    for name, values in (("plain", x), ("other", 1024 * (x + 8))):
        np.save(f"{name}.npy", values)
        options = ["--model.hidden", 16, "--train.epochs", 20, "--n-importance-samples", 5, "--out", name]
        result = aevb("train", f"{name}.npy", *options, "--json")
        scores = {(score["name"], score["split"]): score["value"] for score in json.loads(result.out)["scores"]}
        bounds.append(scores["bound", "test"])
    assert bounds[1] == pytest.approx(bounds[0] - 3 * np.log(1024), abs=0.02)


@pytest.mark.slow
def test_a_terminal_without_greek(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "aevb", "train", *QUICK, "--n-importance-samples", "2", "--out", "run"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "log p(x)" in done.stdout


def test_help(aevb: Callable[..., Result]) -> None:
    commands, options = aevb("--help").out, aevb("train", "--help").out
    for name in ("train", "evaluate", "sample", "reconstruct"):
        assert name in commands
    for name in ("--model.latent", "--train.batch-size", "--data.binarize", "--data-dir", "--seed"):
        assert name in options


@pytest.mark.slow
def test_main_module_and_installed_command() -> None:
    for command in ([sys.executable, "-m", "aevb"], [str(Path(sys.executable).with_name("aevb"))]):
        done = subprocess.run([*command, "train", "no-such-data"], capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stderr.startswith("aevb: no data set is named 'no-such-data'")
        assert done.stderr.count("\n") == 1


# Bad input.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--model.laten", "3"], 'unknown option.*did you mean "?--model.latent'),
        (["train", "--modle.latent", "3"], "unknown option"),
        (["train", "--model.latent", "0"], "--model.latent: input should be greater than or equal to 1"),
        (["train", "--model.latent", "two"], "--model.latent: input should be a valid integer"),
        (["train", "--model.latent"], "--model.latent requires an argument"),
        (["train", "--model.hidden", "3,x"], "--model.hidden: input should be a valid integer"),
        (
            ["train", "--model.likelihood", "gausian"],
            "--model.likelihood: no likelihood is named 'gausian': did you mean gaussian",
        ),
        (["train", "--data.column-types.a", "x"], "'categorical', 'date', 'label' or 'none', got 'x'"),
        (["train", "--model.variance", "-1"], "--model.variance: input should be greater than 0"),
        (["train", "--train.lr", "nan"], "--train.lr: input should be a finite number"),
        (["train", "--seed", "-1"], "--seed: input should be greater than or equal to 0"),
        (["train", "--n-importance-samples", "0"], "--n-importance-samples"),
        (["train", "digits", "extra"], "extra"),
        (["trian"], 'unknown command "trian". did you mean "train"'),
        (["train", "mnis"], "mnist"),
        (["train", "missing.npy"], "missing.npy"),
        (["train", "--model.likelihood", "bernoulli"], "digits has gray values.*--data.binarize threshold"),
        (["train", "--data.test", "0.9", "--data.validation", "0.2"], "leave none"),
        (["train", "--device", "tpu"], "device tpu is not available on this machine: expected auto, cpu"),
        (["reproduce", "yong", "--device", "tpu"], "device tpu is not available on this machine"),
        (["train", "--config", "no.json"], "cannot read --config no.json: no such file"),
        (["train", "mnist", "--data-dir", "nowhere"], "nowhere"),
        (["evaluate", "nothing"], "nothing is not a run folder: it does not exist"),
        (["sample", "."], "is not a run folder"),
        (["evaluate"], "requires an argument"),
        (["evaluate", ".", "x.npy"], "evaluate takes no further argument: 'x.npy'"),
        (["evaluate", ".", "--measure"], "--measure requires at least 1"),
        (["sample", ".", "--where"], "--where requires at least 1"),
        (["train", "--logger"], "--logger requires at least 1"),
        (["train", "--plugin"], "--plugin requires at least 1"),
        (["train", "--out", 300 * "x"], "file name too long"),
        (["evaluate", 300 * "x"], "file name too long"),
        (["train", "--device", "cpu:x"], "device cpu:x is not available"),
        (["train", "--device", "cpu:7"], "device cpu:7 is not available"),
        (["train", "--model.hidden", "100000000000000"], "less than or equal to 16777216"),
        (["train", "--model.network", "conv", "--train.batch-size", "1"], "batch normalization"),
        (["train", "--objective.kind", "iwae", "--objective.free-bits", "2"], "--objective.free-bits has no meaning"),
        (["train", "--model.prior", "normal", "--model.components", "2"], "--model.components 2 has no meaning"),
    ],
)
def test_bad_arguments(refused: Callable[..., str], arguments: list[str], message: str) -> None:
    line = refused(*arguments)
    assert re.search(message, line, re.IGNORECASE), line


@pytest.mark.parametrize("name", ["config.json", "scores.json"])
def test_the_files_of_a_run_are_not_overwritten(refused: Callable[..., str], run: Path, name: str) -> None:
    before = (run / name).read_bytes()
    assert "is a file of the run itself" in refused("encode", run, "x.npy", "--out", run / name)
    assert (run / name).read_bytes() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "--config c.json is not JSON"),
        ("[1]", "--config c.json is a JSON list: expected an object"),
        ('{"model": {"laten": 3}}', "c.json: unknown option --model.laten: did you mean --model.latent?"),
        ('{"modl": {"latent": 3}}', "c.json: unknown option --modl: did you mean --model?"),
        ('{"model": {"latent": "x"}}', "c.json: --model.latent: input should be a valid integer"),
        ('{"model": 3}', "c.json: --model: input should be"),
        ('{"format": 99, "aevb": "9.9"}', "c.json has format 99 of aevb 9.9"),
        ('{"a":' * 100_000, "c.json is not JSON"),
    ],
)
def test_bad_configuration_files(refused: Callable[..., str], tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "c.json").write_text(content)
    assert message in refused("train", "--config", "c.json")


def bad_file(name: str, folder: Path) -> str:
    """Writes data that cannot be used; returns the source."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 3))
    path = folder / "data.npy"
    if name == "nan":
        rows = np.full((50, 3, 3), np.nan)
    if name == "infinite":
        rows[3, 0] = -np.inf
    if name == "empty":
        rows = rows[:0]
    if name == "flat":
        rows = rows.ravel()
    np.save(path, rows)
    if name == "truncated":
        path.write_bytes(path.read_bytes()[:500])
    if name == "pickled":
        np.save(path, np.array([{}] * 20), allow_pickle=True)
    if name == "sizes":
        (folder / "images").mkdir()
        for number in range(12):
            Image.new("L", (4, 4 + number // 11)).save(folder / "images" / f"{number:02}.png")
        return "images"
    return "data.npy"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nan", "data.npy.*NaN.*only rows"),
        ("infinite", "data.npy.*(inf|finite)"),
        ("empty", "data"),
        ("flat", "data.npy"),
        ("truncated", "data.npy"),
        ("pickled", "data.npy"),
        ("sizes", "--data.image-size"),
    ],
)
def test_bad_data(refused: Callable[..., str], tmp_path: Path, name: str, message: str) -> None:
    source = bad_file(name, tmp_path)
    line = refused("train", source)
    assert re.search(message, line), line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model.network", "conv"], "needs images"),
        (["--model.likelihood", "bernoulli"], "has real values"),
        (["--data.binarize", "threshold"], "[0, 1]"),
    ],
)
def test_a_model_that_does_not_fit_the_data(
    refused: Callable[..., str], tmp_path: Path, options: list[str], message: str
) -> None:
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(50, 3)))
    assert message in refused("train", "rows.npy", *options)


def test_a_wrong_checksum(
    refused: Callable[..., str], server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(named.MIRRORS, "mnist", (server,))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    line = refused("train", "mnist")
    assert "checksum" in line
    assert "--data-dir" in line


@pytest.fixture
def server() -> Iterator[str]:
    """Serves the same wrong bytes under every name."""

    class Wrong(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"not the file")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Wrong) as httpd:
        thread = threading.Thread(target=partial(httpd.serve_forever, 0.01))
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()
        thread.join()


def test_a_loss_that_is_not_finite(refused: Callable[..., str]) -> None:
    line = refused("train", *QUICK, "--train.lr", "1e30", "--out", "run")
    assert "is not finite at step" in line
    assert "of epoch 1" in line


def test_a_loss_that_is_not_finite_later_keeps_the_last_good_weights(
    aevb: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    from aevb.config.schema import TrainConfig

    monkeypatch.setattr(TrainConfig, "rate", lambda self, done, steps: 1e-3 if done < 0.5 else 1e30)  # noqa: ARG005
    result = aevb("train", *QUICK, "--out", "run")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "of epoch 2" in result.err
    run = RunFolder.load("run")
    assert run.outcome
    assert (run.outcome.ended, run.outcome.kept) == ("non-finite", 1)
    assert aevb("evaluate", "run", "--n-importance-samples", 2).status == 0


def test_a_taken_folder(refused: Callable[..., str], run: Path) -> None:
    assert "already exists: choose another --out" in refused("train", *QUICK, "--out", run)


def test_a_folder_of_runs_or_a_file_is_no_run(refused: Callable[..., str], run: Path, tmp_path: Path) -> None:
    below = shutil.copytree(run, tmp_path / "sweep" / "as-given" / "seed=0")
    assert f"is not a run folder: it has no config.json, but {below} is one" in refused("evaluate", tmp_path / "sweep")
    assert "is not a run folder: it is a file" in refused("evaluate", run / "config.json")


@pytest.mark.parametrize("name", ["x.npy", "deep/x.npy"])
def test_a_file_in_place_of_a_folder(refused: Callable[..., str], run: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "data.csv").write_text("a,b")
    assert "data.csv is a file, expected a folder" in refused("sample", run, "--out", tmp_path / "data.csv" / name)


def test_the_address_of_a_served_page_as_json(
    aevb: Callable[..., Result], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "serve_pages", lambda *arguments: arguments[-1]("http://127.0.0.1:80/"))
    result = aevb("explore", run, "--serve", "--no-open", "--json")
    assert json.loads(result.out) == {"address": "http://127.0.0.1:80/"}


def test_a_run_of_a_newer_version(refused: Callable[..., str], run: Path) -> None:
    content = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(content | {"format": 99, "aevb": "9.9"}))
    for command in ("evaluate", "sample", "reconstruct"):
        assert "has format 99 of aevb 9.9" in refused(command, run)


def test_a_truncated_run(refused: Callable[..., str], run: Path) -> None:
    weights = run / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert "model.safetensors is damaged" in refused("evaluate", run)


@pytest.mark.slow
def test_data_that_changed_since(refused: Callable[..., str], aevb: Callable[..., Result], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "rows.npy", rng.normal(size=(50, 3)))
    aevb("train", "rows.npy", *QUICK, "--no-report", "--n-importance-samples", 2, "--out", "run")
    np.save(tmp_path / "rows.npy", rng.normal(size=(50, 3)))
    assert "has changed since" in refused("evaluate", "run")


def test_no_space(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    assert "no space left" in refused("train", *QUICK, "--out", "run")


def test_no_space_while_drawing(refused: Callable[..., str], run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert "no space left on device" in refused("sample", run, "--out", "x.npy")


@pytest.mark.parametrize("out", ["x.jpg", "x"])
def test_an_unknown_kind_of_file(refused: Callable[..., str], run: Path, out: str) -> None:
    assert "expected .png or .npy" in refused("sample", run, "--out", out)


def begun(tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    """A training under way, with at least an epoch behind it."""
    command = [sys.executable, "-m", "aevb", "train", *words, "--train.compile", "off", "--out", "run"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not metrics.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("ended_by", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_what_was_trained_is_kept(tmp_path: Path, ended_by: signal.Signals) -> None:
    process = begun(tmp_path, "--train.epochs", "100000")
    os.kill(process.pid, ended_by)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.startswith("interrupted: ")
    assert "Traceback" not in err
    run = RunFolder.load(tmp_path / "run")
    assert run.outcome
    assert run.outcome.ended == "interrupted"
    assert run.outcome.epochs == len(run.epochs) >= 1


@pytest.mark.slow
def test_a_run_goes_on_where_it_was_cut_off(
    aevb: Callable[..., Result], refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["digits", "--model.hidden", "8", "--train.epochs", "150", "--n-importance-samples", "2"]
    process = begun(tmp_path, *words)
    os.kill(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    monkeypatch.chdir(tmp_path)
    for extra in (["digits"], ["--seed", "1"], ["--train.epochs", "50"], ["--out", "other"], ["--seeds", "2"]):
        assert "continues with the configuration of the run" in refused("train", *extra, "--resume", "run")
    assert "is not a run folder" in refused("train", "--resume", "nowhere")
    assert aevb("train", "--resume", "run", "--n-importance-samples", "2").status == 0
    assert aevb("train", *words, "--train.compile", "off", "--out", "whole").status == 0
    assert Path("run/model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()
    assert "is finished" in refused("train", "--resume", "run")
