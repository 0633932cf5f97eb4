"""The models of the recipe, and what is measured on them."""

from functools import partial

from torch import Tensor

from aevb.data import Dataset
from aevb.evaluation import Score
from aevb.evaluation.latent_means import latent_means
from aevb.evaluation.measures import Effort, measure
from aevb.reproduction.recipe import Trial, configuration
from aevb.reproduction.verdicts import Scale
from aevb.rng import RNGStream, seeded
from aevb.runs.run_folder import RunFolder
from aevb.workflow.sweep import Measure

VARIANCE = 0.05
LATENT = (1, 2, 3, 20)
VARIANCES = (1e-4, 1.0)
EPOCHS = {"smoke": {"mlp": 1, "conv": 1}, "default": {"mlp": 15, "conv": 1}, "full": {"mlp": 15, "conv": 15}}
NETWORKS = {"mlp": "MLP", "conv": "CNN"}
SETS = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST"}
REPORTED: dict[tuple[str, str], tuple[float, float | None, float | None]] = {
    ("mlp", "mnist"): (307, 293, 14),
    ("mlp", "fashion-mnist"): (229, 216, 13.4),
    ("conv", "mnist"): (322, None, None),
    ("conv", "fashion-mnist"): (246, None, None),
}
"""Reported loss, reconstruction and KL with two latent dimensions."""
TOLERANCE = 6.0
ERRORS = {"mnist": (14.0, 9.0), "fashion-mnist": (13.0, 8.0)}
"""Standard errors of the loss as a mean over 100 test images, and over a batch of 256 training images."""
WALKED = ("mlp", "mnist", 2)
"""Network, data set and latent dimensions of the trial that is compared with an autoencoder, and by values of c."""
SEEDS, MANY_SEEDS = 3, 8


def trials(scale: Scale) -> dict[str, Trial]:
    trials = {}
    for network, source in REPORTED:
        for latent in LATENT:
            trials[trial_name(network, source, latent)] = _trial(
                scale, network, source, latent, seeds=_seeds(scale, network, source, latent)
            )
    for variance in VARIANCES:
        trials[trial_name("mlp", "mnist", 2, variance)] = _trial(
            scale, "mlp", "mnist", variance=variance, seeds=_seeds(scale, *WALKED)
        )
    trials["autoencoder"] = _trial(scale, "mlp", "mnist", posterior="point", seeds=_seeds(scale, *WALKED))
    for network, source in REPORTED:
        trials[bound_trial(network, source)] = _trial(scale, network, source, beta=1.0)
        trials[falling_trial(network, source)] = _trial(scale, network, source, decay=0.5)
    return trials


def _seeds(scale: Scale, network: str, source: str, latent: int) -> int:
    """Return the number of seeds of a trial: more where small differences of noisy measures decide."""
    if network == "mlp" and scale == "full":
        return MANY_SEEDS if latent > 2 or (network, source, latent) == WALKED else SEEDS
    return 1 if network == "conv" and scale == "default" and latent != 2 else SEEDS


def trial_name(network: str, source: str, latent: int, variance: float = VARIANCE) -> str:
    width = "" if variance == VARIANCE else f"-c{variance:g}"
    return f"{network}-{source}-z{latent}{width}"


def bound_trial(network: str, source: str) -> str:
    return f"{network}-{source}-bound"


def falling_trial(network: str, source: str) -> str:
    """Return the name of a trial whose learning rate decays to zero over the second half of training."""
    return f"{network}-{source}-falling"


def _trial(
    scale: Scale,
    network: str,
    source: str,
    latent: int = 2,
    *,
    variance: float = VARIANCE,
    beta: float = 2.0,
    decay: float = 0.0,
    posterior: str = "diagonal",
    seeds: int = SEEDS,
) -> Trial:
    hidden = {"hidden": (300, 100, 10)} if network == "mlp" else {"channels": (32, 64, 32)}
    model = {
        "network": network,
        "activation": "elu",
        "init": "pytorch",
        "latent": latent,
        "posterior": posterior,
        "likelihood": "gaussian",
        "mean_link": "sigmoid",
        "variance": variance,
    }
    model |= {} if posterior == "point" else {"posterior_scale": "softplus"}
    train = {
        "epochs": EPOCHS[scale][network],
        "batch_size": 256,
        "lr": 2.5e-3 if network == "mlp" else 1.5e-3,
        **({"precision": "bf16"} if network == "conv" else {}),
        **({"lr_decay": decay} if decay else {"lr_schedule": "constant"}),
        "keep": "last",
    }
    data = {"source": "digits"} if scale == "smoke" else {"source": source, "validation": 1000}
    config = {
        "data": data,
        "model": model | hidden,
        "objective": {} if posterior == "point" else {"beta": beta},
        "train": train,
    }
    return Trial(configuration(config), _measures(scale, walk=(network, source, latent) == WALKED), 1, seeds)


def _measures(scale: Scale, walk: bool) -> tuple[Measure, ...]:
    examples = 100 if scale == "smoke" else 2000
    measures = [
        Measure("frechet_distance", partial(_built_in, "sample-quality", examples)),
        Measure("code_square", _code_square),
        Measure("sharpness", _sharpness),
    ]
    return (*measures, *([Measure("path_ratio", partial(_built_in, "latent-space", examples))] if walk else []))


def _built_in(name: str, examples: int, run: RunFolder, dataset: Dataset) -> list[Score]:
    return measure(name, run.model, dataset, "test", Effort(examples=examples))


def _code_square(run: RunFolder, dataset: Dataset) -> list[Score]:
    """Return 1/Z E |E_q z|², the mean square of the latent means. It is at most 1 if q(z) = p(z)."""
    square = latent_means(run.model, dataset.test).square().mean().item()
    return [_score("code_square", square, "mean square of E_q z for each dimension", dataset)]


def _sharpness(run: RunFolder, dataset: Dataset) -> list[Score]:
    """Return E |Δx̂|² of samples / E |Δx|² of data, Δ between adjacent pixels; blurred samples have less than 1."""
    with seeded(0, RNGStream.SAMPLES):
        drawn = run.model.sample(1000)
    value = (_roughness(drawn) / _roughness(dataset.test.subsample(1000).all().x)).item()
    return [_score("sharpness", value, "squared differences of adjacent pixels, samples / data", dataset)]


def _roughness(images: Tensor) -> Tensor:
    return images.diff(dim=-1).square().mean() + images.diff(dim=-2).square().mean()


def _score(name: str, value: float, estimator: str, dataset: Dataset) -> Score:
    return Score(name, value, None, "test", estimator, None, dataset.binarize)
