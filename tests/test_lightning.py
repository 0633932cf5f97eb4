"""The recipe for Lightning in docs/lightning.md: it trains a model, with Lightning or a stand-in of its interface."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

PAGE = Path(__file__).parents[1] / "docs" / "lightning.md"


class Module(nn.Module):
    """What the recipe uses of `lightning.LightningModule`."""

    global_step = 0
    trainer: Any = None

    def log_dict(self, values: dict[str, Tensor], **options: Any) -> None:
        self.trainer.logged.update(values)


class Trainer:
    """What the recipe uses of `lightning.Trainer`: one optimizer, no gradient scaling, one process."""

    def __init__(self, max_epochs: int, gradient_clip_val: float, **_: Any) -> None:
        self.epochs, self.clip, self.logged = max_epochs, gradient_clip_val, dict[str, Tensor]()

    def fit(self, module: Any, train: Any, valid: Iterable[Tensor]) -> None:
        module.trainer, self.estimated_stepping_batches = self, self.epochs * len(train)
        optimizer = module.configure_optimizers()
        for _ in range(self.epochs):
            for number, batch in enumerate(train):
                optimizer.zero_grad()
                module.training_step(batch, number).backward()
                nn.utils.clip_grad_norm_(module.parameters(), self.clip)
                optimizer.step()
                module.global_step += 1
        with torch.no_grad():
            for number, batch in enumerate(valid):
                module.validation_step(batch, number)


@pytest.fixture
def lightning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning, or its stand-in where it is not installed."""
    try:
        import lightning  # noqa: F401
    except ImportError:
        stand_in: Any = ModuleType("lightning")
        vars(stand_in).update(vars(SimpleNamespace(LightningModule=Module, Trainer=Trainer)))
        monkeypatch.setitem(sys.modules, "lightning", stand_in)


@pytest.mark.usefixtures("lightning")
def test_the_recipe_trains_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    torch.manual_seed(0)
    code = code.replace("max_epochs=30", "max_epochs=4").replace('"test"', '"test", n_importance_samples=10')
    exec(code, names)
    bound = next(score.value for score in names["scores"] if score.name == "bound")
    assert bound > -10  # before training it is below -40
    assert "bound (ELBO)" in capsys.readouterr().out
