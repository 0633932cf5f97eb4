"""Yong, "Variational Autoencoder (VAE)": what it says, each with a number.

    PCA, linear and deep autoencoder, VAE    at the same code size: squared error, Fréchet distance of samples
    log p(x) = ELBO + KL(q(z|x) || p(z|x))   the three computed by different means
    p(x) = ∫ p(z) p(x|z) dz                  against mixtures of K normals and probabilistic PCA
    EM                                       by Monte Carlo, against AEVB: test log p(x) by the clock

`aevb reproduce yong` takes about ten minutes on two cores. To expect: below 1° between the linear autoencoder and the
principal subspace, 1e-3 nats between the linear VAE and probabilistic PCA, the identity within 1e-4 nats.
"""

from functools import partial

from aevb.reproduction import race
from aevb.reproduction.recipe import (
    Recipe,
    Scale,
)
from aevb.reproduction.yong.claims import claims
from aevb.reproduction.yong.figures import pictures
from aevb.reproduction.yong.measures import mixtures
from aevb.reproduction.yong.trials import LENGTHS, trials

ABOUT = (
    "An introduction in words and formulas, without experiments: from PCA over autoencoders to the VAE, the evidence"
    " lower bound, and why EM does not apply. Here what it says becomes numbers. PCA by singular value decomposition, a"
    " linear and a deep autoencoder and a VAE stand side by side, at the same size of the code. The identity between"
    " log p(x), bound and divergence is computed where all three are known. A VAE with a linear decoder is compared"
    " with probabilistic PCA, whose likelihood is its optimum, and one with a curved decoder with mixtures of normals"
    " fitted by EM. Last, Monte Carlo EM runs against AEVB, as in Figure 3 of Kingma & Welling 2013, whom it quotes."
)

ERRATA = (
    "The report has -KL(q(z|x) || p(z)) = -½ Σ (1 + log σ² - μ² - σ²). The sign before the sum must be +: as printed it"
    " is the divergence itself, and to maximise it would drive q(z|x) away from p(z).",
    "Mean and variance of z = μ + σ ⊙ ε come from the encoder; the text has them “derived from the decoder output”.",
    "The distribution that the decoder defines is p(x|z), not q(x|z).",
    "“We can always adjust ELBO to be equal to log P(x)” needs a family of q that holds the true posterior. A diagonal"
    " normal does so for the linear decoder at its optimum; for others the divergence stays above zero.",
)

DIFFERENCES = (
    "The report has no experiment of its own: data, sizes and trainings are ours, and the limits of the claims too.",
    "Kingma & Welling compare with three dimensions of z and estimate log p(x) from Hamiltonian samples. Here z has"
    " two, so that log p(x) is exact by quadrature, which depends on the decoder alone, for both methods alike.",
    "Both methods take Adagrad, each with the learning rate that served it best on validation images, start from the"
    " same weights and have no weight decay. Monte Carlo EM has one chain for each image, 10 leapfrogs and 5 steps of"
    " the decoder an iteration, and one step size that follows the accepted share. One iteration over 50,000 images"
    " takes seconds: many are made at full scale only.",
)


def recipe(scale: Scale) -> Recipe:
    """What the report says, at one scale."""
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
        errata=ERRATA,
        differences=DIFFERENCES,
    )
