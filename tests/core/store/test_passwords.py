"""Pickles of a store carry no password; a copy in the same process, or in one that it starts, works all the same."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest
from sqlalchemy.engine import make_url

from cit_core.errors import StoreError
from cit_core.records import Candidate
from cit_core.store import CapabilityStore
from cit_core.store.passwords import complete_url, portable_url, remember_password


def test_a_pickle_holds_no_password_and_its_copy_works_here(postgres_url: str) -> None:
    with CapabilityStore(postgres_url) as store:
        store.add_candidates([Candidate(id="small")])
        pickled = pickle.dumps(store)
        assert str(make_url(postgres_url).password).encode() not in pickled
        with pickle.loads(pickled) as again, copy.deepcopy(store) as copied:
            assert again.candidates() == copied.candidates() == store.candidates()
            assert again.url == store.url


def test_elsewhere_the_password_comes_from_libpq(postgres_url: str) -> None:
    """PGPASSWORD or ~/.pgpass; without them, the error says so."""
    with CapabilityStore(postgres_url) as store:
        pickled = pickle.dumps(store)
    code = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()).version)"

    def load(**settings: str) -> subprocess.CompletedProcess[bytes]:
        environment = {"PYTHONPATH": ":".join(sys.path), "HOME": "/nonexistent", **settings}
        return subprocess.run([sys.executable, "-c", code], input=pickled, capture_output=True, env=environment)

    assert load(PGPASSWORD=str(make_url(postgres_url).password)).stdout == b"0\n"
    assert b"give it in the URL, in PGPASSWORD or in ~/.pgpass" in load().stderr


def test_options_that_may_be_secret_are_left_out_too() -> None:
    url = make_url("postgresql+psycopg://me@host/zoo?sslmode=require&password=hidden1&sslpassword=hidden2")
    assert portable_url(url) == "postgresql+psycopg://me@host/zoo?sslmode=require"
    assert "hidden" not in complete_url(portable_url(url))
    remember_password(url)
    assert make_url(complete_url(portable_url(url))) == url


def test_a_wrong_password_is_not_repeated(postgres_url: str) -> None:
    wrong = make_url(postgres_url).set(password="sesame-open").render_as_string(hide_password=False)
    with pytest.raises(StoreError, match="check the host, port, user and password") as caught:
        CapabilityStore(wrong)
    assert "sesame" not in str(caught.value)
