"""Fit a synthesizer of SDV to a table and sample from it.

    python -m benchmarks.contestants.synthesizer NAME TABLE SEED OUT

It has the defaults of the library, and the types of columns that the library infers.
"""

import logging
import sys
import warnings

import numpy as np
import pandas as pd
import torch
from sdv.metadata import Metadata
from sdv.single_table import GaussianCopulaSynthesizer, TVAESynthesizer


def main(name: str, table: str, seed: str, out: str) -> None:
    """Write as many rows as the table has."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    np.random.seed(int(seed))  # noqa: NPY002  # the library uses the global generators
    torch.manual_seed(int(seed))
    data = {"table": pd.read_csv(table)}
    synthesizers = {"copula": GaussianCopulaSynthesizer, "tvae": TVAESynthesizer}
    synthesizer = synthesizers[name](Metadata.detect_from_dataframes(data, infer_keys=None))
    synthesizer.fit(data)
    synthetic = synthesizer.sample(len(data["table"]))
    (synthetic["table"] if isinstance(synthetic, dict) else synthetic).to_csv(out, index=False)


main(*sys.argv[1:])
