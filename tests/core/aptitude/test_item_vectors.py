"""Every item that has a text gets the vector of its text, once, and a run that is cut off goes on where it was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from outcome_tables import SHARED, needs_shared_data
from word_vectors import WordVectors

from cit_core.aptitude import item_vectors as encoding
from cit_core.aptitude.item_vectors import catalogue_vectors, encode_items
from cit_core.catalogue import VECTORS_OF, core_suite, core_vectors
from cit_core.records import Item, Task
from cit_core.runtime import load_scorer
from cit_core.store import CapabilityStore

TASK = Task(id="t", keywords=("k",))


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "BATCH", 3)


def fill(store: CapabilityStore, *items: Item) -> None:
    with store.transaction() as writer:
        writer.add_tasks([TASK])
        writer.add_items(items)


def items(*texts: str | None) -> list[Item]:
    return [Item(id=f"i{number}", task="t", instruction=text) for number, text in enumerate(texts)]


def kept(store: CapabilityStore, encoder: str = "words") -> dict[str, NDArray[np.float16]]:
    found = store.outcome_matrix(encoder=encoder)
    return dict(zip(found.item_ids, found.vectors_ID, strict=True))


def test_every_item_with_a_text_gets_the_vector_of_its_text(store: CapabilityStore) -> None:
    fill(store, *items("a sum", None, "the law", "", "blood cell"))
    scorer, told = WordVectors(), []
    assert encode_items(store, scorer, progress=told.append) == 4
    assert told == [3, 4]
    expected = scorer.encode(["a sum", "the law", "", "blood cell"]).astype(np.float16)
    assert list(kept(store)) == ["i0", "i2", "i3", "i4"]
    np.testing.assert_array_equal(list(kept(store).values()), expected)


def test_what_has_a_vector_is_not_encoded_again_and_the_store_stays_as_it_is(store: CapabilityStore) -> None:
    fill(store, *items("a sum", "the law"))
    encode_items(store, WordVectors())
    before, again = store.version, WordVectors()
    assert encode_items(store, again) == 0
    assert (again.batches, store.version) == ([], before)
    fill(store, Item(id="new", task="t", instruction="a gene"))
    assert encode_items(store, again) == 1
    assert again.batches == [("a gene",)]


def test_a_run_that_is_cut_off_keeps_its_batches_and_the_next_one_makes_the_rest(store: CapabilityStore) -> None:
    class Killed(WordVectors):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if len(self.batches) == 2:
                raise KeyboardInterrupt
            return super().encode(texts)

    fill(store, *items(*(f"sum {number}" for number in range(8))))
    with pytest.raises(KeyboardInterrupt):
        encode_items(store, Killed())
    assert len(kept(store)) == 6
    rest = WordVectors()
    assert encode_items(store, rest) == 2
    assert rest.batches == [("sum 6", "sum 7")]


def test_another_encoder_makes_its_own_vectors(store: CapabilityStore) -> None:
    fill(store, *items("a sum"))
    encode_items(store, WordVectors("old"))
    assert encode_items(store, WordVectors("new")) == 1
    assert (list(kept(store, "old")), list(kept(store, "new"))) == ([], ["i0"])


# -- the core set -----------------------------------------------------------------------------------------------------


class Wide(WordVectors):
    """As wide as the shipped vectors."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = super().encode(texts)
        return np.pad(vectors, ((0, 0), (0, core_vectors().shape[1] - vectors.shape[1])))


def test_core_items_without_texts_get_the_shipped_vectors_of_the_encoder_that_made_them(store: CapabilityStore) -> None:
    first, second, third = core_suite().item_ids[:3]
    fill(store, Item(id=first, task="t"), Item(id=second, task="t", instruction="a sum"), Item(id="no text", task="t"))
    other, shipped = WordVectors(), Wide(VECTORS_OF)
    assert encode_items(store, other) == 1
    assert list(kept(store)) == [second], "of its text alone"
    assert encode_items(store, shipped) == 2
    vectors = kept(store, VECTORS_OF)
    np.testing.assert_allclose(vectors[first], core_vectors()[0], atol=1e-3)
    np.testing.assert_array_equal(vectors[second], shipped.encode(["a sum"]).astype(np.float16)[0])
    before = store.version
    assert encode_items(store, shipped) == 0
    assert store.version == before
    fill(store, Item(id=third, task="t"))
    assert encode_items(store, shipped) == 1
    assert set(kept(store, VECTORS_OF)) == {first, second, third}


def test_the_shipped_vectors_are_for_the_shipped_scorer_alone() -> None:
    assert catalogue_vectors(WordVectors()) == {}
    assert list(catalogue_vectors(load_scorer())) == list(core_suite().item_ids)


@needs_shared_data
def test_the_shipped_scorer_makes_nearly_the_shipped_vectors_of_the_texts(sqlite_url: str) -> None:
    from cit_core.aptitude.suites.sources import texts

    scorer, few = load_scorer(), texts(core_suite(), SHARED / "items-mmlu-pro.parquet")[::100]
    with CapabilityStore(sqlite_url) as store:
        fill(store, *(item.model_copy(update={"task": "t"}) for item in few))
        assert encode_items(store, scorer) == 10
        made = kept(store, scorer.encoder)
    known = catalogue_vectors(scorer)
    cosines = [float(made[item.id].astype(np.float32) @ known[item.id]) for item in few]
    assert min(cosines) > 0.97, "int8 against float32"
