"""The command baseline."""

from typing import Literal

from aevb.cli import terminal
from aevb.cli.common import Count, DataSettings, Json, Plugins, Seed, TrainingData
from aevb.config.schema import Config, DataConfig
from aevb.evaluation import Score, baselines
from aevb.workflow.train import load_source


def baseline(
    data: TrainingData = None,
    /,
    *,
    settings: DataSettings = DataConfig(),  # noqa: B008  (immutable)
    latent: Count = 2,
    components: Count = 10,
    covariance: Literal["full", "diag"] = "full",
    seed: Seed = 0,
    json: Json = False,
    plugin: Plugins = (),
) -> None:
    """Evaluate PCA and a Gaussian mixture on the same splits of the data.

    Args:
        latent: Principal components.
        components: Components of the mixture.
        covariance: Covariance of each component, full or diag.
    """
    source = {} if data is None else {"source": data}
    dataset = load_source(Config(data=settings.model_copy(update=source)))
    scores: dict[str, list[Score]] = {}
    with terminal.status("fitting"):
        scores[f"PCA, {latent} components"] = baselines.measure(baselines.pca(dataset, latent), dataset)
        if baselines.has_density(dataset):
            mixture = baselines.mixture(dataset, components, covariance=covariance, seed=seed)
            scores[f"Gaussian mixture, {components} components, {covariance}"] = baselines.measure(mixture, dataset)
    terminal.show_baselines(scores, json)
