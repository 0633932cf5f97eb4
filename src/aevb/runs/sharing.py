"""Runs for others: a whole one in a folder with a model card, and on the hub.

The card says what the model learned from, what it is made of, what its numbers are called and what they were, and how
to use it. The data are not shared, nor pictures of them; the names of columns and their categories are.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from aevb.columns import Column, modelled
from aevb.evaluation.scores import titles
from aevb.runs import hub
from aevb.runs.run_folder import SHARED_FILES, RunFolder
from aevb.runs.summary import description, with_error

COLUMNS = 50
"""Columns that a card lists."""
SOURCE = "https://pypi.org/project/aevb"


def save_pretrained(run: RunFolder, folder: str | Path) -> None:
    """Write a run with its model card into a folder that does not exist, or is empty.

    Raises:
        BadInput: it is taken or cannot be written.
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
    """Put a run with its model card on the hub, in one commit.

    Args:
        run: finished or not; without its pictures, which may show data.
        repo_id: OWNER/NAME, or NAME alone for one's own; it is made where there is none.
        commit_message, private, token, branch, create_pr: as in `huggingface_hub.ModelHubMixin.push_to_hub`.

    Returns:
        Where it is.

    Raises:
        BadInput: it may not be written, cannot be reached, or the extra `hub` is missing.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        run.save_copy(folder, card(run, hub.PREFIX + repo_id.removeprefix(hub.PREFIX)))
        return hub.push(
            folder,
            SHARED_FILES,
            repo_id,
            commit_message=commit_message,
            private=private,
            token=token,
            branch=branch,
            create_pr=create_pr,
        )


def card(run: RunFolder, place: str) -> str:
    """The model card, in Markdown.

    Args:
        run: with its scores.
        place: where it will be found, a folder or an address on the hub.
    """
    kind = "tabular" if run.data.columns else "image" if len(run.data.shape) == 3 else "array"
    head = ["---", "library_name: aevb", "tags:", "- variational-autoencoder", f"- {kind}", "---", ""]
    parts = [_title(place), *_description(run), *_columns(run), *_numbers(run), *_use(run, place)]
    return "\n".join([*head, *parts]) + "\n"


def _title(place: str) -> str:
    name = Path(place.removeprefix(hub.PREFIX).partition("@")[0]).name
    return f"# {_plain(name)}\n\nA variational autoencoder, made with [aevb]({SOURCE}).\n"


def _description(run: RunFolder) -> Iterator[str]:
    yield "## What it is\n"
    yield from (f"- {name}: {_plain(text)}" for name, text in description(run).items())
    yield ""


def _columns(run: RunFolder) -> Iterator[str]:
    columns = sorted((*run.data.columns, *run.data.condition_columns), key=lambda column: column.position)
    if not run.data.columns:
        return
    given = {column.name for column in run.data.condition_columns}
    yield "| column | taken for | values |\n|---|---|---|"
    for column in columns[:COLUMNS]:
        kind = column.kind + ", given" * (column.name in given)
        yield f"| {_plain(column.name)} | {kind} | {_values(column)} |"
    if len(columns) > COLUMNS:
        yield f"| and {len(columns) - COLUMNS} more | | |"
    yield ""


def _values(column: Column) -> str:
    return ", ".join(_plain(value) for value in column.values[:10]) + (", …" if len(column.values) > 10 else "")


def _numbers(run: RunFolder) -> Iterator[str]:
    titled = titles()
    listed = [score for name in titled for score in run.scores if score.name == name]
    yield "## Numbers\n"
    if not listed:
        yield "None were measured.\n"
        return
    yield "| | value | measured on | how |\n|---|---|---|---|"
    for score in listed:
        part = "validation" if score.split == "valid" else score.split
        where = f"{score.examples} examples of " * bool(score.examples) + f"the {part} part"
        how = score.estimator + (f" (K = {score.n_importance_samples:,})" if score.n_importance_samples else "")
        note = f" ({_plain(score.note)})" if score.note else ""
        yield f"| {titled[score.name]} | {with_error(score)} | {where} | {_plain(how)}{note} |"
    yield (
        "\nBounds and log p(x) are in nats per example, with all constants, and higher is better; ± is the standard"
        " error of the mean over the examples.\n"
    )


def _use(run: RunFolder, place: str) -> Iterator[str]:
    yield "## Use\n"
    if run.estimator:
        name = run.estimator.name
        method = {"VAEOutlierDetector": "predict", "VAEImputer": "transform"}.get(name, "score_samples")
        lines = [f"from aevb import {name}", "", f'model = {name}.from_pretrained("{place.removeprefix(hub.PREFIX)}")']
        lines += [f"model.{method}(x)  # rows with the columns above"]
    else:
        lines = [
            "import aevb",
            "",
            f'run = aevb.load_run("{place}")',
            "run.model.sample(10)  # or encode(x), decode(z)",
        ]
    yield "\n".join(["```sh", "pip install 'aevb[hub]'", "```", "", "```python", *lines, "```", ""])
    folder, table = Path(place.partition("@")[0]).name, bool(modelled(run.data.columns))
    fetched = [f"aevb pull {place.removeprefix(hub.PREFIX)} --out {folder}"] if hub.is_address(place) else []
    shell = [*fetched, f"aevb sample {folder} --n-samples 100", f"aevb encode {folder} DATA --out codes.csv"]
    shell += [f"aevb score {folder} DATA --out scores.csv"] if run.estimator else []  # others need their test part
    shell += [f"aevb impute {folder} DATA --out full.csv"] if table else []
    yield "\n".join(["In the shell:", "", "```sh", *shell, "```"])


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _plain(text: object) -> str:
    """A text that means nothing in Markdown's tables."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")
