"""What the tiers of the first releases mean on the one scale of quality."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.tiers import quality_of
from gaussvae_ros.vae.latent import splats_at


@given(st.floats(0, 100))
def test_splats_keep_their_number(quality):
    had = 512 * 2 ** ((quality - 50) / 12.5)
    asked = quality_of("splats", quality)
    assert 0 <= asked <= 100 and splats_at(asked) == pytest.approx(had, rel=1e-9, abs=0.5)
    assert quality_of("latent", quality) == quality


def test_the_numbers_of_the_documentation():
    had = {0: 32, 25: 128, 50: 512, 75: 2048, 100: 8192}
    assert {q: splats_at(quality_of("splats", q)) for q in had} == had


@pytest.mark.parametrize("tier", ["gold", "", None, 1])
def test_an_unknown_tier_gets_one_line(tier):
    with pytest.raises(GaussVaeError, match="tier is one of splats, latent, not"):
        quality_of(tier, 50)
