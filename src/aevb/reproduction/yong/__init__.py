"""Yong, "Variational Autoencoder (VAE)": its statements, each with a number.

    PCA, linear and deep autoencoder, VAE    same latent size: squared error, Fréchet distance of samples
    log p(x) = ELBO + KL(q(z|x) || p(z|x))   each term computed independently
    p(x) = ∫ p(z) p(x|z) dz                  compared with mixtures of K normals and probabilistic PCA
    EM                                       Monte Carlo EM against AEVB: test log p(x) over time

`aevb reproduce yong` takes about ten minutes on two cores. Expected: less than 1° between the linear autoencoder and
the principal subspace, 1e-3 nats between the linear VAE and probabilistic PCA, the identity within 1e-4 nats.
"""

from functools import partial

from aevb.reproduction import race
from aevb.reproduction.recipe import Recipe
from aevb.reproduction.verdicts import Scale
from aevb.reproduction.yong.claims import claims
from aevb.reproduction.yong.figures import pictures
from aevb.reproduction.yong.measures import mixtures
from aevb.reproduction.yong.trials import LENGTHS, trials

ABOUT = (
    "An introduction in words and formulas without experiments: from PCA and autoencoders to the VAE, the evidence"
    " lower"
    " bound, and the reason why EM does not apply. The recipe tests its statements with numbers. PCA, a linear and a"
    " deep autoencoder and a VAE are compared at the same latent size. The identity between log p(x), bound and"
    " divergence is computed where all three are known. A VAE with a linear decoder is compared with probabilistic PCA,"
    " whose likelihood is its optimum, and one with a nonlinear decoder with mixtures of normals fitted by EM. Finally,"
    " Monte Carlo EM is compared with AEVB, as in Figure 3 of Kingma & Welling 2013, which the report quotes."
)

ERRATA = (
    "The report has -KL(q(z|x) || p(z)) = -½ Σ (1 + log σ² - μ² - σ²). The sign before the sum must be +: as printed it"
    " is the divergence itself, and maximizing it would drive q(z|x) away from p(z).",
    "Mean and variance of z = μ + σ ⊙ ε come from the encoder, not “derived from the decoder output”.",
    "The decoder defines the distribution p(x|z), not q(x|z).",
    "“We can always adjust ELBO to be equal to log P(x)” requires a family of q that contains the true posterior. The"
    " diagonal normals do for the linear decoder at its optimum; for other decoders the divergence stays above zero.",
)

DIFFERENCES = (
    "The report has no experiments. Data, sizes, training and the limits of the claims are ours.",
    "Kingma & Welling use three latent dimensions and estimate log p(x) from Hamiltonian samples. Here z has two"
    " dimensions, so that log p(x) is exact by quadrature, which depends on the decoder only, for both methods.",
    "Both methods use Adagrad, each with its best learning rate on validation images, the same initial weights and no"
    " weight decay. Monte Carlo EM has one chain per image, 10 leapfrog steps and 5 decoder updates per iteration, and"
    " one step size adapted to the acceptance rate. One iteration over 50,000 images takes seconds; only the full scale"
    " runs many of them.",
)


def recipe(scale: Scale) -> Recipe:
    """Return the recipe at a scale."""
    length = LENGTHS[scale]
    return Recipe(
        name="yong",
        title="Variational Autoencoder (VAE)",
        author="Roger Yong",
        about=ABOUT,
        trials=trials(length),
        studies={
            "mixtures": partial(mixtures, length.points),
            "race-small": partial(race.run, length.small),
            "race-large": partial(race.run, length.large),
        },
        claims=claims(length),
        pictures=pictures(length),
        noun="check",
        errata=ERRATA,
        differences=DIFFERENCES,
    )
