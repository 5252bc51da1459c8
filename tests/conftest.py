"""Settings of all tests: what may take long on a busy machine fails nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from cit_core.catalogue.default_zoo import KEYS

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each of a thousand processes compiles what it imports


@pytest.fixture(autouse=True, scope="session")
def no_keys() -> Iterator[None]:
    """Keep the developer's own keys out: they say which models stand in for those that nobody named."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (name for names in KEYS.values() for name in names):
            patch.delenv(name, raising=False)
        yield
