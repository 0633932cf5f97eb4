"""The parts of a recipe, which describes the experiments of a report as data.

A recipe contains the models of the report as trials: configurations that are trained with several seeds. Studies are
functions of a seed that compute numbers without a training run. Each statement of the report is a claim, judged by the
rule in `aevb.reproduction.verdicts`. Figures are plotted from finished trials.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from aevb.config.schema import Config
from aevb.reproduction.quantities import Results
from aevb.reproduction.verdicts import Claim
from aevb.workflow.sweep import Measure

Study = Callable[[int, str | None], Mapping[str, Any]]
"""A function of a seed and the folder of the named data sets that returns numbers or lists of numbers by name."""


def configuration(content: Mapping[str, Mapping[str, object]]) -> Config:
    """Return the configuration of a published experiment: no KL warm-up or weight decay unless the content says so."""
    autoencoder = content.get("model", {}).get("posterior") == "point"
    warmup = {} if autoencoder else {"warmup": 0.0}
    changes = {
        "objective": {**warmup, **content.get("objective", {})},
        "train": {"weight_decay": 0.0, **content.get("train", {})},
    }
    return Config.model_validate({**content, **changes})


@dataclass(frozen=True)
class Trial:
    """A configuration that is trained with every seed.

    Attributes:
        config: the configuration without the seed.
        measures: measures in addition to the bound and log p(x).
        n_importance_samples: K, the number of importance samples for the test log p(x).
        seeds: the number of seeds, starting with the first; None for all.
    """

    config: Config
    measures: tuple[Measure, ...] = ()
    n_importance_samples: int = 100
    seeds: int | None = None


@dataclass(frozen=True)
class Picture:
    """A figure of the report, reproduced.

    Attributes:
        name: the name of its file.
        title: its number in the report, such as "Figure 3a".
        caption: a description of the reproduced figure.
        original: a description of the original.
        draw: a function that plots the figure from finished trials.
    """

    name: str
    title: str
    caption: str
    original: str
    draw: Callable[[Results], Figure]


@dataclass(frozen=True)
class Recipe:
    """The experiments of one report at one scale.

    Attributes:
        name: the name of the recipe.
        title: the title of the report.
        about: what the report contains and how it is reproduced.
        trials: the trials by name.
        claims: the claims of the report in its order, and questions of ours.
        pictures: the figures in the order of the report.
        author: the author of the report; "" for a comparison with models of several publications.
        learned: what was learned from the reproduction at full scale.
        key: the name of the picture that the page opens with; "" for none.
        studies: the studies by name.
        errata: errors in the report.
        differences: differences between our experiments and those of the report.
        seeds: the default number of seeds.
        noun: what the page calls the statements of the report: "claim", or "check" for a report without experiments.
    """

    name: str
    title: str
    about: str
    trials: Mapping[str, Trial]
    claims: Sequence[Claim]
    pictures: Sequence[Picture]
    author: str = ""
    learned: str = ""
    key: str = ""
    studies: Mapping[str, Study] = field(default_factory=dict)
    errata: Sequence[str] = ()
    differences: Sequence[str] = ()
    seeds: int = 3
    noun: str = "claim"
