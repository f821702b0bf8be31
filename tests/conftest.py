"""The built site, and strict settings for the tests of our own modules, those that lie beside this file."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from harness.site import BuildError, built_site

# Each example may compile, so time says nothing; a database would carry examples from one run into the next.
hypothesis.settings.register_profile("nnx_state", deadline=None, max_examples=25, database=None)
hypothesis.settings.load_profile("nnx_state")


@pytest.fixture(scope="session")
def site(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site; where there is none, one test says why, and the others that it is so."""
    try:
        return built_site(pytestconfig, tmp_path_factory.getbasetemp())
    except BuildError:
        pytest.fail("the site does not build. What to do: see test_the_site_builds, which shows why.", pytrace=False)


@pytest.fixture(autouse=True, scope="module")
def strict_jax(request: pytest.FixtureRequest) -> Iterator[None]:
    """Refuse implicit promotion, except in the folders whose tests run pages as a reader does."""
    if request.path.parent != Path(__file__).parent:
        yield
        return
    import jax  # where it is needed, since the census starts in a moment without it

    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield
