"""A zoo of two, and chat models that say who they are and what reached them."""

import pytest
from parrot import Listener, Parrot, prefer_large_for_hard

from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router


@pytest.fixture
def scorer() -> FakeScorer:
    return FakeScorer(prefer_large_for_hard)


@pytest.fixture
def router(scorer: FakeScorer) -> Router:
    zoo = [Candidate(id="small", modalities=("text",)), Candidate(id="large", modalities=("text", "image", "audio"))]
    return Router(scorer, zoo)


@pytest.fixture
def models() -> dict[str, Parrot]:
    return {"small": Parrot(called="small"), "large": Parrot(called="large")}


@pytest.fixture
def listener() -> Listener:
    return Listener()
