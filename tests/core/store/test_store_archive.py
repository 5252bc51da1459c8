"""Archives: a store goes out and comes back to the last bit, on either database, and merges without a loss."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from store_records import ITEMS, lines, outcome

from cit_core.errors import InvalidInput
from cit_core.policy import Spend
from cit_core.records import Candidate, Item, Task
from cit_core.store import CapabilityStore
from cit_core.store.store_archive import export_archive, import_archive, merge_archive


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_archive_comes_back_to_the_last_bit(full: CapabilityStore, tmp_path: Path) -> None:
    counts = export_archive(full, tmp_path / "one")
    with CapabilityStore(f"sqlite:///{tmp_path}/new.db") as again:
        assert import_archive(again, tmp_path / "one") == counts
        export_archive(again, tmp_path / "two")
        assert (again.version, again.held(), again.setting("evidence")) == (
            full.version,
            ("test", "empty"),
            full.setting("evidence"),
        )
        assert again.spend("budget:5/day/tenant", ["team-a"]) == [Spend("team-a", 7, 3.0, 0.1 + 0.2)]
        assert again.capabilities() == full.capabilities()
        assert again.items() == full.items()
        assert set(again.outcomes()) == set(full.outcomes())
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert counts["outcomes"] == 2
    manifest = json.loads((tmp_path / "one/manifest.json").read_text())
    for name, about in manifest["tables"].items():
        content = (tmp_path / f"one/{name}.jsonl").read_bytes()
        assert (about["sha256"], about["rows"]) == (hashlib.sha256(content).hexdigest(), content.count(b"\n"))


def test_an_archive_of_an_earlier_release_has_no_spend(full: CapabilityStore, tmp_path: Path) -> None:
    export_archive(full, tmp_path / "one")
    (tmp_path / "one/spend.jsonl").unlink()
    manifest = json.loads((tmp_path / "one/manifest.json").read_text())
    del manifest["tables"]["spend"]
    (tmp_path / "one/manifest.json").write_text(json.dumps(manifest))
    with CapabilityStore(f"sqlite:///{tmp_path}/new.db") as again:
        assert import_archive(again, tmp_path / "one")["outcomes"] == 2
        assert again.spend("budget:5/day/tenant", ["team-a"]) == []


def test_an_archive_of_sqlite_goes_into_postgresql_and_back(postgres_url: str, tmp_path: Path) -> None:
    with CapabilityStore(f"sqlite:///{tmp_path}/a.db") as store, CapabilityStore(postgres_url) as other:
        store.add_tasks([Task(id="law", keywords=("contracts",))])
        store.add_items([Item(id="i0", task="law", instruction="大?")])
        store.add_candidates([Candidate(id="small")])
        store.add_outcomes([outcome("i0", 0.1)])
        export_archive(store, tmp_path / "one")
        import_archive(other, tmp_path / "one")
        export_archive(other, tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_merging_adds_what_is_lacking_and_again_nothing(full: CapabilityStore, tmp_path: Path) -> None:
    export_archive(full, tmp_path / "zoo")
    with CapabilityStore(f"sqlite:///{tmp_path}/mine.db") as mine:
        mine.add_tasks([Task(id="law", keywords=("mine",))])
        mine.add_items([Item(id="i1", task="law", instruction="question 1")])
        mine.add_candidates([Candidate(id="own")])
        mine.add_outcomes([outcome("i1", candidate="own")])
        report = merge_archive(mine, tmp_path / "zoo")
        assert (report.new, report.known) == (2, 0)
        assert report.refused == (("task 'law'", "other facts are stored, which were kept"),)
        assert mine.held() == ("test",)
        assert mine.setting("evidence") == full.setting("evidence")
        assert {c.id for c in mine.candidates()} == {"own", "small", "big", "modèle/大"}
        assert lines(mine, "small") == lines(full, "small")
        assert mine.without_vector("trunk", 9) == tuple(item for item in mine.items() if item.id != "i1")
        version = mine.version
        again = merge_archive(mine, tmp_path / "zoo")
        assert (again.new, again.known, mine.version) == (0, 2, version)


def test_merging_never_changes_what_is_stored(seeded: CapabilityStore, tmp_path: Path) -> None:
    seeded.add_outcomes([outcome("i0", 1.0), outcome("i1", 1.0), outcome("i2", 1.0)])
    export_archive(seeded, tmp_path / "zoo")
    with CapabilityStore(f"sqlite:///{tmp_path}/mine.db") as mine:
        mine.add_tasks(seeded.tasks())
        mine.add_items([ITEMS[0], ITEMS[1].model_copy(update={"instruction": "another question"})])
        mine.add_candidates([Candidate(id="small", notes="mine")])
        mine.add_outcomes([outcome("i0", 0.0)])
        report = merge_archive(mine, tmp_path / "zoo")
        assert {what.split()[0]: reason for what, reason in report.refused} == {
            "candidate": "other facts are stored, which were kept",
            "item": "it is stored as another question, which was kept",
            "'small'": "correct=1 came and 0 is stored; outcomes are never changed",
        }
        assert {o.item: o.correct for o in mine.outcomes()} == {"i0": 0.0, "i2": 1.0}
        assert mine.candidate("small").notes == "mine"


def test_an_archive_goes_into_a_new_folder_and_into_an_empty_store(full: CapabilityStore, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letter").touch()
    with pytest.raises(InvalidInput, match="name a new folder"):
        export_archive(full, tmp_path / "taken")
    export_archive(full, tmp_path / "zoo")
    with pytest.raises(InvalidInput, match="is not empty; `cit store merge`"):
        import_archive(full, tmp_path / "zoo")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["taken", "zoo"]
