"""Variational autoencoders on PyTorch: train one on your data, trust its numbers, look around in what it learned.

The names below are the public ones. They are imported when they are first used, so that `import aevb` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aevb.config import Config as Config
    from aevb.config import ModelConfig as ModelConfig
    from aevb.config import ObjectiveConfig as ObjectiveConfig
    from aevb.config import TrainConfig as TrainConfig
    from aevb.config import build as build
    from aevb.config import resolve as resolve
    from aevb.data import Dataset as Dataset
    from aevb.data import Examples as Examples
    from aevb.doctor import Finding as Finding
    from aevb.doctor import diagnose as diagnose
    from aevb.errors import BadInput as BadInput
    from aevb.estimators import VAEImputer as VAEImputer
    from aevb.estimators import VAEOutlierDetector as VAEOutlierDetector
    from aevb.estimators import VariationalAutoencoder as VariationalAutoencoder
    from aevb.evaluation import Score as Score
    from aevb.evaluation import evaluate as evaluate
    from aevb.evaluation.measures import Effort as Effort
    from aevb.evaluation.measures import measure as measure
    from aevb.linear import linear_optimum as linear_optimum
    from aevb.linear import linear_vae as linear_vae
    from aevb.model import VAE as VAE
    from aevb.model import Trace as Trace
    from aevb.objectives import ELBO as ELBO
    from aevb.objectives import IWAE as IWAE
    from aevb.objectives import BetaTC as BetaTC
    from aevb.objectives import DReG as DReG
    from aevb.objectives import MonteCarloELBO as MonteCarloELBO
    from aevb.runs import Run as Run
    from aevb.runs import load as load
    from aevb.sharing import push_to_hub as push_to_hub
    from aevb.sharing import save_pretrained as save_pretrained
    from aevb.training import History as History
    from aevb.training import fit as fit

_PUBLIC = {
    "config": ["Config", "ModelConfig", "ObjectiveConfig", "TrainConfig", "build", "resolve"],
    "data": ["Dataset", "Examples"],
    "doctor": ["Finding", "diagnose"],
    "errors": ["BadInput"],
    "estimators": ["VAEImputer", "VAEOutlierDetector", "VariationalAutoencoder"],
    "evaluation": ["Score", "evaluate"],
    "evaluation.measures": ["Effort", "measure"],
    "linear": ["linear_optimum", "linear_vae"],
    "model": ["VAE", "Trace"],
    "objectives": ["ELBO", "IWAE", "BetaTC", "DReG", "MonteCarloELBO"],
    "runs": ["Run", "load"],
    "sharing": ["push_to_hub", "save_pretrained"],
    "training": ["History", "fit"],
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'aevb' has no attribute {name!r}")
    return getattr(import_module(f"aevb.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
