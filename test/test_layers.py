"""The networks' arithmetic against whole numbers of Python's own."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.vae.contexts import MOST, SHIFT
from gaussvae_ros.vae.layers import network, rounded, widened


def plainly(inputs: np.ndarray, layers: list[np.ndarray]) -> np.ndarray:
    """Layers of weights and biases on whole numbers [rows, F], as docs/format.md has them."""
    x = inputs.astype(object)
    for k in range(0, len(layers), 2):
        low = -MOST if k + 2 == len(layers) else 0
        sums = x @ layers[k].astype(object) + layers[k + 1].astype(object)
        x = np.clip((2 * sums + 2**SHIFT) // 2 ** (SHIFT + 1), low, MOST)
    return x.astype(np.int64)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9), st.integers(1, 40), st.integers(1, 40), st.integers(1, 20), st.booleans())
def test_a_network_is_sums_of_whole_numbers(rows, count, hidden, outputs, fortran):
    """Of any sizes, and with weights in either order in memory."""
    rng = np.random.default_rng(rows + 10 * count + 400 * hidden + outputs)
    layers = []
    for wide, tall in ((count, hidden), (hidden, hidden), (hidden, outputs)):
        layers += [rng.integers(-700, 700, (wide, tall)), rng.integers(-9000, 9000, tall)]
    features, mean = rng.normal(0, 3, (rows, count)), rng.normal(0, 1, count)
    gain = rng.uniform(0, 2, count)
    given_ = [np.asfortranarray(a) if fortran else a for a in layers]
    made = network(features, mean, gain, *map(widened, given_))[:, :outputs]
    np.testing.assert_array_equal(made, plainly(rounded(features, mean, gain), layers))
