"""Store URLs are checked, made absolute and shown without secrets."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from cit_core.errors import InvalidInput, StoreError
from cit_core.store import CapabilityStore


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
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://x/store.db", "names no file"),
        ("mysql://host/name", "cannot be kept in 'mysql'"),
        ("postgresql+asyncpg://host/name", "cannot be kept in"),
        ("postgresql://me:secret@host:port/name", "cannot be read"),
    ],
)
def test_what_is_no_store_url(url: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        CapabilityStore(url)
    assert "secret" not in str(caught.value)
