"""An interactive page for a trained model: one self-contained file that opens from disk without network access.

content     collects the contents of the page from a run: facts, arrays and networks
networks    exports the networks as ONNX files
page        renders the contents and the modules of web/ as one page
server      serves the page over HTTP, for networks too large to embed
web/        the ES modules, template and style sheet that run in the browser
vendor/     ONNX Runtime Web, which runs the networks, with its license
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from aevb.columns import modelled
from aevb.data.dataset import Dataset
from aevb.data.examples import Examples
from aevb.data.tables.encode import decode_value
from aevb.errors import BadInput
from aevb.explorer.conditioned import under_condition
from aevb.explorer.content import Subject, gather
from aevb.explorer.page import render
from aevb.files import write_atomically
from aevb.runs.run_folder import RunFolder

__all__ = ["Subject", "explore", "under"]

FEWEST = 10
"""The smallest number of examples in each split."""


def under(run: RunFolder, dataset: Dataset, condition: Tensor) -> Subject:
    """Return a conditional model under one condition as an unconditional model, and the examples with that condition.

    Args:
        run: the run of a conditional model.
        dataset: the data set of the run.
        condition: ``(1, G)``.

    Raises:
        BadInput: fewer than `FEWEST` examples have the condition.
    """
    parts = (dataset.train, dataset.valid, dataset.test)
    numbers = [_numbers(part, condition) for part in parts]
    selected = zip(parts, numbers, strict=True)
    train, valid, test = (replace(part[chosen], condition=None) for part, chosen in selected)
    if min(len(train), len(test)) < FEWEST:
        raise BadInput(f"{dataset.name} has fewer than {FEWEST} examples with this condition: choose another condition")
    named = zip(modelled(run.data.condition_columns), condition[0].numpy(), strict=True)
    values = {column.name: decode_value(column, number) for column, number in named}
    words = ", ".join(f"{name} {'missing' if value is None else value}" for name, value in values.items())
    sizes = {"train": len(train), "valid": len(valid), "test": len(test)}
    data = run.data.model_copy(update={"name": f"{run.data.name} given {words}"} | sizes)
    run = replace(run, model=under_condition(run.model, condition), data=data)
    return Subject(run, replace(dataset, condition_columns=(), train=train, valid=valid, test=test), numbers[-1])


def _numbers(examples: Examples, condition: Tensor) -> Tensor:
    """Return the numbers of the examples with a condition, ``(N,)``."""
    assert examples.condition is not None
    same = torch.isclose(examples.condition, condition.to(examples.condition), rtol=0, atol=0, equal_nan=True)
    return same.all(1).nonzero().squeeze(1)


def explore(subjects: Sequence[Subject]) -> Path:
    """Write explorer.html into the folder of the first run.

    Args:
        subjects: one run, or two to compare.

    Raises:
        BadInput: a network cannot be exported or is too large for a page, or the file cannot be written.
    """
    path = subjects[0].run.folder / "explorer.html"
    text = render([gather(subject, str(number), path.parent) for number, subject in enumerate(subjects)])
    write_atomically(path, lambda file: file.write_text(text, encoding="utf-8"))
    return path
