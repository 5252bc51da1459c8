"""Store URLs are checked, made absolute and shown without secrets."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from cit_core.errors import CITError, InvalidInput, StoreError
from cit_core.records import Candidate
from cit_core.store import CapabilityStore
from cit_core.store.url import parse_url, shown


def test_the_default_is_a_file_in_the_platforms_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_data_path", lambda app, appauthor: tmp_path / "new" / app)
    with CapabilityStore() as store:
        assert store.url == f"sqlite:///{tmp_path}/new/cit-router/store.db"
    assert (tmp_path / "new" / "cit-router" / "store.db").is_file()


def test_a_password_is_masked_wherever_the_url_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="check the host") as caught:
        CapabilityStore("postgresql://me:secret@127.0.0.1:1/none")
    assert "postgresql+psycopg://me:***@127.0.0.1:1/none" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("store.db", "'store.db' is not a store URL; write a file as 'sqlite:///store.db'"),
        (Path("/x/store.db"), "write a file as 'sqlite:////x/store.db'"),
        ({"url": "sqlite:///secret"}, "a store URL is a str and dict came"),
        ("sqlite:///zoo.db?key=secret", "names no file, or more than a file"),
        ("sqlite://me:secret@host/zoo.db", "names no file, or more than a file"),
        ("me:secret@host/zoo", "cannot be read"),
        ("postgresql:/me:secret@host/zoo", "cannot be read"),
        ("host=db password=secret", "cannot be read"),
        ("mysql://me:secret@host/zoo", "cannot be kept in 'mysql'"),
        ("sqlite:///a\0secret", "the character NUL"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://x/store.db", "names no file"),
        ("mysql://host/name", "cannot be kept in 'mysql'"),
        ("postgresql+asyncpg://host/name", "cannot be kept in"),
        ("postgresql://me:secret@host:port/name", "cannot be read"),
    ],
)
def test_what_is_no_store_url(url: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        CapabilityStore(url)
    assert "secret" not in str(caught.value)


def test_a_relative_path_is_made_absolute_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with CapabilityStore("sqlite:///zoo.db") as store:
        store.add_candidates([Candidate(id="small")])
        pickled, url = pickle.dumps(store), store.url
        assert url == f"sqlite:///{tmp_path}/zoo.db"
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        with pickle.loads(pickled) as copied, CapabilityStore(url) as again:
            assert copied.candidates() == again.candidates() == store.candidates()
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sslmode=require", "sslmode=require"),
        ("password=hidden", "password=%2A%2A%2A"),
        ("sslpassword=hidden&sslmode=allow", "sslpassword=%2A%2A%2A"),
        ("options=-csearch_path%3Dzoo", "options=-csearch_path"),
        ("options=-cmy.secret%3Dhidden", "options=%2A%2A%2A"),
    ],
)
def test_options_are_shown_only_if_they_cannot_be_secret(query: str, said: str) -> None:
    text = shown(parse_url(f"postgresql://me:hidden@host/zoo?{query}"))
    assert said in text
    assert "hidden" not in text


@pytest.mark.parametrize("query", ["pasword=hidden", "plugin=hidden", "password=hidden&port=x", "options=-chidden"])
def test_no_error_repeats_what_an_option_says(query: str) -> None:
    with pytest.raises(CITError) as caught:
        CapabilityStore(f"postgresql://me:hidden@127.0.0.1:1/zoo?{query}")
    assert "hidden" not in str(caught.value)
