"""Variational autoencoders on PyTorch: train one on your data, trust its numbers, explore what it learned.

`__all__` is the public API, and the packages in `SUBMODULES` are documented as well. Both are imported when they are
first used, so that `import aevb` is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aevb.config.build import build as build
    from aevb.config.resolve import resolve as resolve
    from aevb.config.schema import Config as Config
    from aevb.config.schema import DataConfig as DataConfig
    from aevb.config.schema import ModelConfig as ModelConfig
    from aevb.config.schema import ObjectiveConfig as ObjectiveConfig
    from aevb.config.schema import TrainConfig as TrainConfig
    from aevb.data import Dataset as Dataset
    from aevb.data import Examples as Examples
    from aevb.data import load_data as load_data
    from aevb.errors import BadInput as BadInput
    from aevb.estimators import VAEImputer as VAEImputer
    from aevb.estimators import VAEOutlierDetector as VAEOutlierDetector
    from aevb.estimators import VariationalAutoencoder as VariationalAutoencoder
    from aevb.evaluation import Score as Score
    from aevb.evaluation import evaluate as evaluate
    from aevb.evaluation.diagnosis import Finding as Finding
    from aevb.evaluation.diagnosis import diagnose as diagnose
    from aevb.evaluation.measures import Effort as Effort
    from aevb.evaluation.measures import measure as measure
    from aevb.models.batch import Batch as Batch
    from aevb.models.linear import linear_optimum as linear_optimum
    from aevb.models.linear import linear_vae as linear_vae
    from aevb.models.objectives import ELBO as ELBO
    from aevb.models.objectives import IWAE as IWAE
    from aevb.models.objectives import BetaTC as BetaTC
    from aevb.models.objectives import DReG as DReG
    from aevb.models.objectives import MonteCarloELBO as MonteCarloELBO
    from aevb.models.registry import register as register
    from aevb.models.vae import VAE as VAE
    from aevb.models.vae import Trace as Trace
    from aevb.runs.sharing import push_to_hub as push_to_hub
    from aevb.runs.sharing import save_pretrained as save_pretrained
    from aevb.training.fit import fit as fit
    from aevb.training.history import History as History
    from aevb.workflow.run import Run as Run
    from aevb.workflow.run import load_run as load_run
    from aevb.workflow.train import train as train

_PUBLIC = {
    "config.schema": ["Config", "DataConfig", "ModelConfig", "ObjectiveConfig", "TrainConfig"],
    "config.build": ["build"],
    "config.resolve": ["resolve"],
    "data": ["Dataset", "Examples", "load_data"],
    "evaluation.diagnosis": ["Finding", "diagnose"],
    "errors": ["BadInput"],
    "estimators": ["VAEImputer", "VAEOutlierDetector", "VariationalAutoencoder"],
    "evaluation": ["Score", "evaluate"],
    "evaluation.measures": ["Effort", "measure"],
    "models.batch": ["Batch"],
    "models.linear": ["linear_optimum", "linear_vae"],
    "models.registry": ["register"],
    "models.vae": ["VAE", "Trace"],
    "models.objectives": ["ELBO", "IWAE", "BetaTC", "DReG", "MonteCarloELBO"],
    "workflow.run": ["Run", "load_run"],
    "workflow.train": ["train"],
    "runs.sharing": ["push_to_hub", "save_pretrained"],
    "training.fit": ["fit"],
    "training.history": ["History"],
}
SUBMODULES = (
    "columns",
    "config",
    "data",
    "display",
    "errors",
    "estimators",
    "evaluation",
    "explorer",
    "memory",
    "models",
    "plots",
    "report",
    "reproduction",
    "rng",
    "runs",
    "training",
    "workflow",
)
"""The documented submodules."""
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name in SUBMODULES:
        return import_module(f"aevb.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'aevb' has no attribute {name!r}")
    return getattr(import_module(f"aevb.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *SUBMODULES})
