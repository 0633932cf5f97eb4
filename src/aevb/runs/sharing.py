"""Share runs: in a folder with a model card, and on the Hugging Face hub.

The model card describes data, model and scores, and how to use them. Neither data nor figures are shared; names and
categories of columns are.
"""

import json
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

from aevb.columns import Column, modelled
from aevb.evaluation.scores import titles, with_error
from aevb.files import HUB_PREFIX
from aevb.runs import hub
from aevb.runs.run_folder import SHARED, RunFolder
from aevb.runs.summary import description

COLUMNS = 50
"""Maximum number of columns in a model card."""
SOURCE = "https://pypi.org/project/aevb"


def save_pretrained(run: RunFolder, folder: str | Path) -> None:
    """Write a run with its model card into a folder that does not exist or is empty.

    Raises:
        BadInput: the folder already exists or cannot be written.
    """
    run.save_copy(Path(folder), card(run, str(folder)))


def push_to_hub(
    run: RunFolder,
    repo_id: str,
    *,
    commit_message: str = "Push a run of aevb",
    private: bool | None = None,
    token: str | None = None,
    branch: str | None = None,
    create_pr: bool | None = None,
) -> str:
    """Upload a run with its model card to the hub, in one commit.

    Args:
        run: its figures, which may show data, are not uploaded.
        repo_id: OWNER/NAME, or NAME in your own namespace; created if it does not exist.
        commit_message, private, token, branch, create_pr: as in `huggingface_hub.ModelHubMixin.push_to_hub`.

    Returns:
        The address of the commit.

    Raises:
        BadInput: the repository cannot be reached or written, or the extra `hub` is not installed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        run.save_copy(folder, card(run, HUB_PREFIX + repo_id.removeprefix(HUB_PREFIX)))
        return hub.push(
            folder,
            SHARED,
            repo_id,
            commit_message=commit_message,
            private=private,
            token=token,
            branch=branch,
            create_pr=create_pr,
        )


def card(run: RunFolder, location: str) -> str:
    """Return the model card, in Markdown.

    Args:
        run: with its scores.
        location: its folder or its address on the hub.
    """
    kind = "tabular" if run.data.columns else "image" if len(run.data.shape) == 3 else "array"
    head = ["---", "library_name: aevb", "tags:", "- variational-autoencoder", f"- {kind}", "---", ""]
    parts = [_title(location), *_description(run), *_columns(run), *_numbers(run), *_use(run, location)]
    return "\n".join([*head, *parts]) + "\n"


def _title(location: str) -> str:
    return f"# {_plain(_name(location))}\n\nA variational autoencoder, trained with [aevb]({SOURCE}).\n"


def _name(location: str) -> str:
    """Return the name of the folder or of the repository."""
    if hub.is_address(location):
        return location.removeprefix(HUB_PREFIX).partition("@")[0].rpartition("/")[2]
    return Path(location).resolve().name


def _description(run: RunFolder) -> Iterator[str]:
    yield "## Description\n"
    yield from (f"- {name}: {_plain(text)}" for name, text in description(run).items())
    yield ""


def _columns(run: RunFolder) -> Iterator[str]:
    columns = sorted((*run.data.columns, *run.data.condition_columns), key=lambda column: column.position)
    if not run.data.columns:
        return
    condition = {column.name for column in run.data.condition_columns}
    yield "| column | type | values |\n|---|---|---|"
    for column in columns[:COLUMNS]:
        kind = column.kind + ", condition" * (column.name in condition)
        yield f"| {_plain(column.name)} | {kind} | {_values(column)} |"
    if len(columns) > COLUMNS:
        yield f"| and {len(columns) - COLUMNS} more | | |"
    yield ""


def _values(column: Column) -> str:
    return ", ".join(_plain(value) for value in column.values[:10]) + (", …" if len(column.values) > 10 else "")


def _numbers(run: RunFolder) -> Iterator[str]:
    titled = titles()
    listed = [score for name in titled for score in run.scores if score.name == name]
    yield "## Scores\n"
    if not listed:
        yield "No scores were computed.\n"
        return
    yield "| | value | examples | estimator |\n|---|---|---|---|"
    for score in listed:
        split = "validation" if score.split == "valid" else score.split
        where = f"{score.examples} examples of " * bool(score.examples) + f"the {split} split"
        how = score.estimator + (f" (K = {score.n_importance_samples:,})" if score.n_importance_samples else "")
        note = f" ({_plain(score.note)})" if score.note else ""
        yield f"| {titled[score.name]} | {with_error(score)} | {where} | {_plain(how)}{note} |"
    yield (
        "\nBounds and log p(x) are in nats per example, with all constants, and higher is better; ± is the standard"
        " error of the mean over the examples.\n"
    )


def _use(run: RunFolder, location: str) -> Iterator[str]:
    yield "## Use\n"
    if run.estimator:
        name = run.estimator.name
        method = {"VAEOutlierDetector": "predict", "VAEImputer": "transform"}.get(name, "score_samples")
        lines = [
            f"from aevb import {name}",
            "",
            f"model = {name}.from_pretrained({_quoted(location.removeprefix(HUB_PREFIX))})",
        ]
        lines += [f"model.{method}(x)  # rows with the columns above"]
    else:
        lines = [
            "import aevb",
            "",
            f"run = aevb.load_run({_quoted(location)})",
            "run.sample(10)  # or run.encode(data), run.model.decode(z)",
        ]
    yield "\n".join(["```sh", "pip install 'aevb[hub]'", "```", "", "```python", *lines, "```", ""])
    folder = shlex.quote(_name(location) if hub.is_address(location) else location)
    table = bool(modelled(run.data.columns))
    fetched = [f"aevb pull {location.removeprefix(HUB_PREFIX)} --out {folder}"] if hub.is_address(location) else []
    shell = [*fetched, f"aevb sample {folder} --n-samples 100", f"aevb encode {folder} DATA --out codes.csv"]
    shell += [f"aevb score {folder} DATA --out scores.csv"] if run.estimator else []  # others need their test split
    shell += [f"aevb impute {folder} DATA --out full.csv"] if table else []
    yield "\n".join(["In the shell:", "", "```sh", *shell, "```"])


def _quoted(text: str) -> str:
    """Return a string of Python in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def _plain(text: object) -> str:
    """Return text without the markup of Markdown tables."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")
