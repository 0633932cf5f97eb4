"""Saved estimators and runs, the model card, and the hub: against a server that stands in for it."""

import ast
import base64
import hashlib
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_wine

import aevb
from aevb import VAEImputer, VAEOutlierDetector, VariationalAutoencoder
from aevb.cli.app import main
from aevb.data import Dataset
from aevb.errors import BadInput
from aevb.runs import sharing
from aevb.runs.run_folder import SHARED_FILES, RunFolder
from aevb.workflow.fitting import fit_run
from tests.estimators.test_sklearn import quick, wine
from tests.runs.test_runs import CONFIG, edit

COMMIT = "1" * 40


@pytest.fixture
def x() -> NDArray[np.float64]:
    return wine()


@pytest.fixture
def model(x: NDArray[np.float64]) -> VariationalAutoencoder:
    return quick().fit(x)


@pytest.fixture
def saved(model: VariationalAutoencoder, tmp_path: Path) -> Path:
    model.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return int(caught.value.code or 0)


# Folders.


def test_a_model_comes_back(model: VariationalAutoencoder, saved: Path, x: NDArray[np.float64]) -> None:
    again = VariationalAutoencoder.from_pretrained(saved)
    assert again.get_params() == model.get_params()
    for method in ("transform", "score_samples"):
        assert np.array_equal(getattr(again, method)(x), getattr(model, method)(x))
    assert np.array_equal(again.sample(5), model.sample(5))
    assert np.array_equal(again.partial_fit(x).transform(x), model.partial_fit(x).transform(x))


def test_a_detector_comes_back(x: NDArray[np.float64], tmp_path: Path) -> None:
    detector = VAEOutlierDetector(quick(), false_alarm_rate=0.2, held_out=0.3).fit(x)
    detector.save_pretrained(tmp_path / "saved")
    again = VAEOutlierDetector.from_pretrained(tmp_path / "saved")
    assert (again.offset_, again.false_alarm_rate, again.held_out) == (detector.offset_, 0.2, 0.3)
    assert np.array_equal(again.decision_function(x), detector.decision_function(x))


def test_an_imputer_comes_back(tmp_path: Path) -> None:
    gaps = load_wine(as_frame=True).data.mask(wine(0.2) != wine())
    imputer = VAEImputer(quick(epochs=2), n_models=11, n_imputations=5, n_importance_samples=10).fit(gaps)
    imputer.save_pretrained(str(tmp_path / "saved"))
    again = VAEImputer.from_pretrained(str(tmp_path / "saved"))
    assert again.transform(gaps).equals(imputer.transform(gaps))
    assert [model.seed_ for model in again.estimators_] == [model.seed_ for model in imputer.estimators_]
    assert list(again.feature_names_in_) == list(gaps.columns)


def test_parameters_of_any_kind_come_back(x: NDArray[np.float64], tmp_path: Path) -> None:
    given = {"n_components": np.int64(3), "hidden": [8, 4], "column_types": {"x0": "positive"}, "beta": np.float32(0.5)}
    fitted = quick(**given, random_state=np.random.default_rng(0)).fit(x)
    fitted.save_pretrained(tmp_path / "saved")
    again = VariationalAutoencoder.from_pretrained(tmp_path / "saved")
    assert (again.n_components, again.hidden, again.column_types, again.beta) == (3, (8, 4), {"x0": "positive"}, 0.5)
    assert again.random_state == again.seed_ == fitted.seed_


def test_a_saved_estimator_is_a_run_folder_without_its_data(saved: Path, x: NDArray[np.float64]) -> None:
    run = RunFolder.load(saved)
    assert {path.name for path in saved.iterdir()} == set(SHARED_FILES)
    assert (run.data.train, run.data.valid, run.data.test) == (160, 18, 0)
    assert len(run.epochs) == 5
    assert run.outcome
    assert run.outcome.ended == "finished"
    assert {score.name for score in run.scores} == {"bound", "rate", "distortion"}
    written = b"".join(path.read_bytes() for path in saved.iterdir())
    assert not any(str(value).encode() in written for value in x[:, 12])  # proline: large, and all over the place


def test_the_commands_take_a_saved_estimator(
    x: NDArray[np.float64], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    detector = VAEOutlierDetector(quick(), held_out=0.3).fit(x)
    detector.save_pretrained("detector")
    detector.estimator_.save_pretrained("model")
    np.save("x.npy", x)
    assert command("sample", "detector", "--n-samples", "7", "--out", "new.csv") == 0
    assert len(Path("new.csv").read_text().splitlines()) == 8
    assert command("encode", "detector", "x.npy", "--out", "latent-means.npy") == 0
    assert np.allclose(np.load("latent-means.npy"), detector.estimator_.transform(x), atol=1e-4)
    gaps = np.where(wine(0.1) != x, np.nan, x)
    np.save("gaps.npy", gaps)
    assert (
        command(
            "impute", "detector", "gaps.npy", "--n-imputations", "3", "--n-importance-samples", "5", "--out", "full.csv"
        )
        == 0
    )
    assert not np.isnan(np.loadtxt("full.csv", delimiter=",", skiprows=1)).any()
    assert command("score", "detector", "x.npy", "--out", "scores.csv") == 0
    rows = [line.split(",") for line in Path("scores.csv").read_text().splitlines()[1:]]
    assert np.allclose([float(row[1]) for row in rows], detector.score_samples(x))
    assert [row[3] == "true" for row in rows] == (detector.predict(x) == -1).tolist()
    assert command("score", "model", "x.npy", "--out", "alone.csv") == 0
    assert Path("alone.csv").read_text().startswith("row,log_px\n")
    capsys.readouterr()
    for needy in (("evaluate", "model"), ("diagnose", "model"), ("report", "model"), ("reconstruct", "model")):
        assert command(*needy) == 2
        error = capsys.readouterr().err
        assert "model was trained on data in memory, which it does not contain" in error
        assert error.count("\n") == 1


def test_a_folder_is_made_once(model: VariationalAutoencoder, saved: Path) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    with pytest.raises(BadInput, match="already exists"):
        model.save_pretrained(saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    (saved.parent / "empty").mkdir()
    model.save_pretrained(saved.parent / "empty")
    assert VariationalAutoencoder.from_pretrained(saved.parent / "empty").n_components is None


def test_an_estimator_that_is_not_fitted_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not fitted"):
        quick().save_pretrained(tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def test_another_estimator_says_which(saved: Path, tmp_path: Path, stripes: Dataset) -> None:
    with pytest.raises(BadInput, match=r"contains no VAEImputer: use VariationalAutoencoder\.from_pretrained"):
        VAEImputer.from_pretrained(saved)
    fit_run(CONFIG, tmp_path / "run", stripes)
    with pytest.raises(BadInput, match=r"contains no VAEImputer: use aevb\.load_run"):
        VAEImputer.from_pretrained(tmp_path / "run")


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"n_components": 2, "surprise": 1}},
        {"model": []},
        {"frame": "os"},
        {"__reduce__": "os.system"},
        {"features": "many"},
    ],
)
def test_a_damaged_or_hostile_estimator_is_refused(saved: Path, change: dict[str, Any]) -> None:
    edit(saved / "estimator.json", **change)
    with pytest.raises(BadInput, match=r"estimator\.json is damaged or was not written by aevb") as caught:
        VariationalAutoencoder.from_pretrained(saved)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("resolved", {"latent": [10**13]}),  # more than there is memory for
        ("resolved", {"likelihood": "__import__('os')"}),
        ("dataset", {"kind": "pickle"}),
        ("dataset", {"columns": [{"name": "x", "kind": "real", "place": 0}]}),
    ],
)
def test_a_hostile_configuration_is_refused(saved: Path, part: str, change: dict[str, Any]) -> None:
    content = json.loads((saved / "config.json").read_text())
    edit(saved / "config.json", **{part: content[part] | change})
    with pytest.raises(BadInput, match=r"is damaged or was not written by aevb") as caught:
        VariationalAutoencoder.from_pretrained(saved)
    assert "\n" not in str(caught.value)


def test_pickles_are_never_read(saved: Path, tmp_path: Path) -> None:
    """Neither where the weights should be nor where the configuration asks for them."""

    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "boom"),)

    import pickle

    import torch

    for write in (lambda path: path.write_bytes(pickle.dumps(Bomb())), lambda path: torch.save(Bomb(), path)):
        write(saved / "model.safetensors")
        with pytest.raises(BadInput, match=r"model\.safetensors is damaged or was not written by aevb"):
            VariationalAutoencoder.from_pretrained(saved)
    edit(saved / "config.json", weights="weights.pkl")
    with pytest.raises(BadInput, match=r"config\.json is damaged or was not written by aevb"):
        VariationalAutoencoder.from_pretrained(saved)
    assert not (tmp_path / "boom").exists()


# The model card.


def test_the_card_of_a_run_has_its_numbers(tmp_path: Path, stripes: Dataset) -> None:
    run = fit_run(CONFIG, tmp_path / "run", stripes)
    assert "No scores were computed" in sharing.card(run, "hub:me/stripes")
    run.evaluate(stripes, n_importance_samples=5)
    card = sharing.card(run, "hub:me/stripes")
    assert card.startswith("---\nlibrary_name: aevb\n")
    assert "# stripes\n" in card
    assert "- data: stripes: 80 train, 20 validation, 20 test; 1 x 4 x 4, unit values" in card
    scores = {score.name: score for score in run.scores}
    assert f"| log p(x) | {scores['log_px'].value:.2f}" in card
    assert "20 examples of the test split" in card
    assert 'aevb.load_run("hub:me/stripes")' in card
    assert "aevb pull me/stripes --out stripes" in card


@pytest.mark.parametrize("name", ["my model", "a@b", 'it\'s "it"', "hub:me/stripes@first"])
def test_the_card_names_the_folder_as_the_shell_and_python_read_it(name: str, tmp_path: Path, stripes: Dataset) -> None:
    card = sharing.card(fit_run(CONFIG, tmp_path / "run", stripes), name)
    (python,) = re.findall(r"load_run\((.*)\)", card)
    assert ast.literal_eval(python) == name
    (shell,) = re.findall(r"^aevb sample .*$", card, re.MULTILINE)
    assert shlex.split(shell)[2] == ("stripes" if name.startswith("hub:") else name)


def test_the_card_of_a_run_in_the_working_directory(
    tmp_path: Path, stripes: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fit_run(CONFIG, tmp_path / "run", stripes)
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    card = sharing.card(run, ".")
    assert "# mine\n" in card
    assert "aevb sample . --n-samples 100" in card


def test_the_card_of_an_estimator_can_be_followed(
    x: NDArray[np.float64], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Python runs, and its commands, with a file in the place of DATA."""
    monkeypatch.chdir(tmp_path)
    VAEOutlierDetector(quick(), held_out=0.3).fit(x).save_pretrained("saved")
    card = Path("saved/README.md").read_text()
    names: dict[str, Any] = {"x": x}
    (block,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    exec(block, names)
    assert names["model"].n_features_in_ == 13
    assert "| x0 | real |  |" in card
    assert "53 examples of the test split" in card
    np.save("DATA.npy", x)
    for line in re.findall(r"^aevb .*$", card, re.MULTILINE):
        assert command(*line.replace("DATA", "DATA.npy").split()[1:]) == 0


def test_names_are_no_markup(x: NDArray[np.float64], tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a|b": x[:, 0], "<script>": x[:, 1], "line\nbreak": x[:, 2]})
    quick().fit(frame).save_pretrained(tmp_path / "saved")
    card = (tmp_path / "saved" / "README.md").read_text()
    assert "| a\\|b | real |" in card
    assert "| line break | real |" in card
    assert "<script" not in card


# The hub.


class Server:
    """As much of the hub as it takes: repositories of files, in memory."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.asked: list[str] = []

    def get(self, path: str) -> tuple[int, Any, dict[str, str]]:
        path = path.partition("?")[0]
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)", path):
            files = self.files.get(found[1])
            if files is None:
                return 404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}
            if found[3] not in ("main", "first", COMMIT):
                return 404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"}
            if found[2] == "tree":
                entries = [("file", name, len(content), _oid(content)) for name, content in files.items()]
                return 200, [dict(zip(("type", "path", "size", "oid"), entry, strict=True)) for entry in entries], {}
            siblings = [{"rfilename": name} for name in files]
            return 200, {"id": found[1], "modelId": found[1], "sha": COMMIT, "siblings": siblings, "tags": []}, {}
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self.asked.append(found[3])
            content = self.files[found[1]][found[3]]
            return 200, content, {"ETag": f'"{_oid(content)}"', "X-Repo-Commit": COMMIT}
        return 404, {"error": path}, {}

    def post(self, path: str, body: bytes, token: str) -> tuple[int, Any, dict[str, str]]:
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}, {}
        if token != "Bearer mine":
            return 401, {"error": "Invalid username or password."}, {}
        if path == "/api/repos/create":
            given = json.loads(body)
            name = f"{given.get('organization') or 'me'}/{given['name']}"
            self.files.setdefault(name, {})
            self.private[name] = given.get("private") is True or given.get("visibility") == "private"
            return 200, {"url": f"{self.url}/{name}", "name": name, "id": "1"}, {}
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/[^/?]+(\?.*)?", path)
        assert found, path
        if found[2] == "preupload":
            wanted = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for file in json.loads(body)["files"]
            ]
            return 200, {"files": wanted}, {}
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.files[found[1]][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        place = f"{self.url}/{found[1]}/commit/{COMMIT}"
        return 200, {"success": True, "commitUrl": place, "commitOid": COMMIT, "hookOutput": ""}, {}

    url = ""


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    constants = pytest.importorskip("huggingface_hub.constants")
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, content: Any, headers: dict[str, str]) -> None:
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self) -> None:
            self.answer(*server.get(self.path))

        do_HEAD = do_GET

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answer(*server.post(self.path, body, self.headers.get("Authorization", "")))

        def log_message(self, format: str, *args: Any) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listening.server_port}"
    # Both are made of HF_ENDPOINT when the library is imported, and the second was once copied.
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    for module in (constants, pytest.importorskip("huggingface_hub.file_download")):
        monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "mine")
    thread = Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def test_to_the_hub_and_back(model: VariationalAutoencoder, x: NDArray[np.float64], hub: Server) -> None:
    assert "me/wine" in model.push_to_hub("me/wine", private=True)
    assert set(hub.files["me/wine"]) == set(SHARED_FILES)
    assert hub.private["me/wine"]
    assert b'from_pretrained("me/wine")' in hub.files["me/wine"]["README.md"]
    for place in ("me/wine", "hub:me/wine", "hub:me/wine@first"):
        again = VariationalAutoencoder.from_pretrained(place)
        assert np.array_equal(again.score_samples(x), model.score_samples(x))
    hub.files.clear()
    VariationalAutoencoder.from_pretrained("me/wine", local_files_only=True)
    with pytest.raises(BadInput, match=r"cannot fetch hub:me/wine: "):
        VariationalAutoencoder.from_pretrained("me/wine", revision="second")


def test_runs_by_the_commands(
    stripes: Dataset,
    hub: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Pictures, checkpoints and places on the machine stay here; nothing is written into the hub's cache."""
    monkeypatch.chdir(tmp_path)
    config = CONFIG.model_copy(
        update={"data": CONFIG.data.model_copy(update={"source": "/home/me/secret/stripes.npz"})}
    )
    run = fit_run(config, tmp_path / "run", stripes)
    run.evaluate(stripes, n_importance_samples=5)
    run.save_figure("samples", lambda path: path.write_bytes(b"picture"))
    assert command("push", "run", "me/stripes") == 0
    assert set(hub.files["me/stripes"]) == set(SHARED_FILES) - {"estimator.json"}
    assert b"secret" not in b"".join(hub.files["me/stripes"].values())
    assert command("pull", "me/stripes") == 0
    pulled = RunFolder.load("runs/stripes")
    assert (pulled.scores, pulled.epochs) == (run.scores, run.epochs)
    assert command("pull", "me/stripes") == 2
    capsys.readouterr()
    there = RunFolder.load("hub:me/stripes")
    assert str(there.folder) == "hub:me/stripes"
    before = sorted(tmp_path.rglob("*"))
    assert there.evaluate(stripes, n_importance_samples=5) == run.scores
    assert sorted(tmp_path.rglob("*")) == before
    assert command("sample", "hub:me/stripes") == 2
    assert "is not on this machine: pass --out, or download the run first with aevb pull" in capsys.readouterr().err
    assert command("sample", "hub:me/stripes", "--out", "new.npy") == 0


def test_only_the_files_of_a_run_are_fetched(
    model: VariationalAutoencoder, hub: Server, tmp_path: Path, x: NDArray[np.float64]
) -> None:
    """What else a repository lists, pickles, code and names that lead out of the folder, is not even asked for."""
    model.push_to_hub("me/wine")
    strangers = [
        "../../../evil.json",
        "/tmp/evil.json",
        "config.json/../../evil",
        "a/config.json",
        "model-2.safetensors.exe",
        "model-/2.safetensors",
        "model.pkl",
        "setup.py",
    ]
    hub.files["me/wine"] |= dict.fromkeys(strangers, b"evil")
    before = set(tmp_path.parent.rglob("*")) - set((tmp_path / "cache").rglob("*"))
    VariationalAutoencoder.from_pretrained("me/wine").transform(x)
    assert set(hub.asked) == set(SHARED_FILES)
    assert set(tmp_path.parent.rglob("*")) - set((tmp_path / "cache").rglob("*")) - {tmp_path / "cache"} == before
    files = {path.name for path in (tmp_path / "cache").rglob("snapshots/*/*")}
    assert files == set(SHARED_FILES)


def test_all_models_of_an_imputer_are_pushed(hub: Server) -> None:
    gaps = wine(0.2)
    imputer = VAEImputer(quick(epochs=2), n_models=2, n_imputations=5, n_importance_samples=10).fit(gaps)
    imputer.push_to_hub("me/gaps")
    assert set(hub.files["me/gaps"]) == {*SHARED_FILES, "model-2.safetensors"}
    again = VAEImputer.from_pretrained("me/gaps")
    np.testing.assert_array_equal(again.transform(gaps), imputer.transform(gaps))


def test_a_link_in_a_repository_is_a_text(model: VariationalAutoencoder, hub: Server) -> None:
    """Git keeps a symbolic link as a file with the path in it."""
    model.push_to_hub("me/wine")
    hub.files["me/wine"]["config.json"] = b"/etc/passwd"
    with pytest.raises(BadInput, match=r"config\.json is damaged or was not written by aevb") as caught:
        VariationalAutoencoder.from_pretrained("me/wine")
    assert "root:" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("me/nothing", "cannot fetch hub:me/nothing: "),
        ("nowhere", "nowhere is neither a folder nor an address on the hub: expected OWNER/NAME"),
        ("../../etc/passwd", "neither a folder nor an address"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_what_is_not_there(place: str, said: str) -> None:
    with pytest.raises(BadInput, match=re.escape(said)) as caught:
        VariationalAutoencoder.from_pretrained(place)
    assert "\n" not in str(caught.value)


def test_who_may_not_push_is_told_in_one_line(model: VariationalAutoencoder, hub: Server) -> None:
    with pytest.raises(BadInput, match=r"cannot push to hub:me/wine: .*401") as caught:
        model.push_to_hub("me/wine", token="another's")
    assert "\n" not in str(caught.value)
    assert not hub.files


def test_without_the_extra(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, and only where the hub is needed."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    model = VariationalAutoencoder.from_pretrained(saved)
    for use in (lambda: model.push_to_hub("me/wine"), lambda: aevb.load_run("hub:me/wine")):
        with pytest.raises(BadInput, match=r"pip install 'aevb\[hub\]'"):
            use()
