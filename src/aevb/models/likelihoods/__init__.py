"""Likelihoods: the decoder's output o to p(x | z), a density or a probability in nats with every constant.

    bernoulli               p_j = sigmoid(o_j)
    continuous-bernoulli    density proportional to e^{o_j x_j} on [0, 1]
    gaussian                N(μ, c I),           μ = o or sigmoid(o),  c fixed or one learned number
    gaussian-diagonal       N(μ, diag e^{s}),    (μ, s) from the network
    gaussian-full           N(μ, L Lᵀ),          (μ, L) from the network
    laplace                 Laplace(o_j, b),     b one learned number
    categorical             softmax over K values for each element
    poisson                 rate e^{o_j}
    negative-binomial       mean e^{o_j}, variance m + m²/r_j,  r_j one learned number for each element
    columns                 a row of a table: each column by the family of its type (`aevb.columns`)

An identity link is one up to units: μ = shift + spread o, with the mean and standard deviation of the training
examples. The network computes numbers around 1 whatever the units of the data; p(x|z) and its variance are in the units
of the data.

A likelihood declares the kinds of data that it supports and the shape of the decoder's output. A new one is a class in
any module, registered with `aevb.models.registry.register.likelihood`.
"""

from aevb.models.likelihoods.base import MIN_STDDEV as MIN_STDDEV
from aevb.models.likelihoods.base import Likelihood as Likelihood
from aevb.models.likelihoods.bernoulli import Bernoulli as Bernoulli
from aevb.models.likelihoods.bernoulli import ContinuousBernoulli as ContinuousBernoulli
from aevb.models.likelihoods.counts import Categorical as Categorical
from aevb.models.likelihoods.counts import NegativeBinomial as NegativeBinomial
from aevb.models.likelihoods.counts import Poisson as Poisson
from aevb.models.likelihoods.gaussian import DiagonalGaussian as DiagonalGaussian
from aevb.models.likelihoods.gaussian import FullGaussian as FullGaussian
from aevb.models.likelihoods.gaussian import Gaussian as Gaussian
from aevb.models.likelihoods.laplace import Laplace as Laplace
from aevb.models.likelihoods.table import Columns as Columns
