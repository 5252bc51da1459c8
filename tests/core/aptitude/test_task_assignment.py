"""Items without a task get the nearest one and say so; tasks without keywords get the words that tell them apart."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from word_vectors import WordVectors

from cit_core.aptitude import task_assignment as assigning
from cit_core.aptitude.item_vectors import encode_items
from cit_core.aptitude.task_assignment import assign_tasks, describe_tasks, keywords_of
from cit_core.catalogue import VECTORS_OF, core_suite, core_vectors, known_tasks
from cit_core.errors import InvalidInput, MissingExtra
from cit_core.records import Item, Suite, Task
from cit_core.runtime import load_scorer
from cit_core.store import UNASSIGNED, CapabilityStore

MATHS = Task(id="maths", keywords=("Sum", "Number"))
LAW = Task(id="law", keywords=("Law", "Court"))
BIOLOGY = Task(id="biology", keywords=("Cell", "Gene"))
SUITE = Suite(
    name="s", tasks=[MATHS, LAW, BIOLOGY], items={"maths": ["m1", "m2"], "law": ["l1"], "biology": ["not stored"]}
)


def fill(store: CapabilityStore, *items: Item) -> None:
    with store.transaction() as writer:
        there = {task.id for task in writer.tasks()}
        writer.add_tasks([Task(id=id_, keywords=("k",)) for id_ in {item.task for item in items} - there])
        writer.add_items(items)


def lost(id_: str, text: str | None) -> Item:
    return Item(id=id_, task=UNASSIGNED, instruction=text)


def tasks_of(store: CapabilityStore) -> dict[str, tuple[str, bool]]:
    return {item.id: (item.task, item.assigned) for item in store.items()}


# -- tasks of items ---------------------------------------------------------------------------------------------------


def test_an_item_gets_the_nearest_task_and_is_marked_as_assigned(store: CapabilityStore) -> None:
    scorer, told = WordVectors(), []
    fill(store, lost("a", "the judge of the court"), lost("b", "add a number"), lost("c", "a gene in a cell"))
    encode_items(store, scorer)
    assert assign_tasks(store, SUITE, scorer, progress=told.append) == 3
    assert tasks_of(store) == {"a": ("law", True), "b": ("maths", True), "c": ("biology", True)}
    assert [item.instruction for item in store.items(["a"])] == ["the judge of the court"]
    assert told == [3]
    assert {task.id: task.keywords for task in store.tasks() if task.id != UNASSIGNED} == {
        task.id: task.keywords for task in SUITE.tasks
    }
    before = store.version
    assert assign_tasks(store, SUITE, scorer) == 0
    assert store.version == before


def test_a_tasks_items_count_beside_its_keywords(store: CapabilityStore) -> None:
    """`judge` is no keyword of anybody; it is law's because law's items are about judges."""
    scorer, about_judges = WordVectors(), [f"l{number}" for number in range(9)]
    fill(store, *(Item(id=id_, task="law", instruction="a judge") for id_ in about_judges))
    fill(store, lost("a", "a judge and a sum"))
    encode_items(store, scorer)
    assign_tasks(store, SUITE.model_copy(update={"items": {**SUITE.items, "law": about_judges}}), scorer)
    assert tasks_of(store)["a"] == ("law", True)


def test_keywords_speak_for_a_task_whose_items_have_no_vectors(store: CapabilityStore) -> None:
    scorer = WordVectors()
    fill(store, lost("a", "a judge and a sum"))
    encode_items(store, scorer)
    assign_tasks(store, SUITE, scorer)
    assert tasks_of(store)["a"] == ("maths", True)


def test_an_item_of_the_suite_gets_the_task_that_the_suite_states(store: CapabilityStore) -> None:
    fill(store, lost("m1", "court"), lost("l1", None))
    assert assign_tasks(store, SUITE, WordVectors()) == 2
    assert tasks_of(store) == {"m1": ("maths", False), "l1": ("law", False)}


def test_what_has_a_task_or_no_vector_stays_as_it_is(store: CapabilityStore) -> None:
    scorer = WordVectors()
    fill(store, Item(id="own", task="mine", instruction="court"), lost("a", "court"), lost("mute", None))
    encode_items(store, scorer)
    fill(store, lost("later", "court"))
    assert assign_tasks(store, SUITE, scorer) == 1
    assert tasks_of(store) == {
        "own": ("mine", False),
        "a": ("law", True),
        "mute": (UNASSIGNED, False),
        "later": (UNASSIGNED, False),
    }
    assert assign_tasks(store, SUITE, WordVectors("of another kind")) == 0


def test_a_task_that_a_source_states_takes_the_place_of_an_assigned_one(store: CapabilityStore) -> None:
    scorer = WordVectors()
    fill(store, lost("a", "court"))
    encode_items(store, scorer)
    assign_tasks(store, SUITE, scorer)
    fill(store, Item(id="a", task="mine", instruction="court"))
    assert tasks_of(store) == {"a": ("mine", False)}


def test_a_task_of_the_store_keeps_its_keywords(store: CapabilityStore) -> None:
    scorer = WordVectors()
    fill(store, Item(id="l1", task="law"), lost("a", "court"))
    encode_items(store, scorer)
    assign_tasks(store, SUITE, scorer)
    assert {task.id: task.keywords for task in store.tasks()}["law"] == ("k",)


def test_many_items_are_written_in_batches(store: CapabilityStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assigning, "BATCH", 2)
    scorer, told = WordVectors(), []
    fill(store, *(lost(f"i{number}", "court") for number in range(5)))
    encode_items(store, scorer)
    before = store.version
    assert assign_tasks(store, SUITE, scorer, progress=told.append) == 5
    assert (told, store.version - before) == ([2, 4, 5], 3)
    assert set(tasks_of(store).values()) == {("law", True)}


def test_the_core_sets_shipped_vectors_speak_for_its_tasks(sqlite_url: str) -> None:
    """With the keywords silenced: an item that lies where a core task's items lie gets that task."""

    class Silent(WordVectors):
        def encode(self, texts):
            return np.full((len(texts), 384), 1e-9, np.float32)

    suite, scorer = core_suite(), Silent(VECTORS_OF)
    middle = core_vectors().reshape(50, 20, 384).mean(1)
    with CapabilityStore(sqlite_url) as store:
        fill(store, *(lost(f"like {task.id}", "?") for task in suite.tasks))
        with store.transaction() as writer:
            writer.set_vectors(
                {f"like {task.id}": vector for task, vector in zip(suite.tasks, middle, strict=True)}, VECTORS_OF
            )
        assert assign_tasks(store, suite, scorer) == 50
        assert tasks_of(store) == {f"like {task.id}": (task.id, True) for task in suite.tasks}


def test_the_shipped_network_knows_an_anatomist_from_an_econometrician(sqlite_url: str) -> None:
    scorer, suite = load_scorer(), core_suite()
    with CapabilityStore(sqlite_url) as store:
        fill(
            store,
            lost("bones", "Which bone of the skull does the facial nerve pass through?"),
            lost("rates", "Which estimator stays unbiased when the errors of a regression are heteroscedastic?"),
        )
        assert encode_items(store, scorer) == 2
        assert assign_tasks(store, suite, scorer) == 2
        assert tasks_of(store) == {"bones": ("ori_mmlu-anatomy", True), "rates": ("ori_mmlu-econometrics", True)}


# -- keywords ---------------------------------------------------------------------------------------------------------

LEGAL = ["The court heard the appeal of the tenant.", "A tenant sued; the court ruled.", "Courts read a lease."]
VOCABULARY = ("court", "courts", "acid", "lease", "tenant", "12", "the")
CHEMICAL = ["The acid reacts with a base.", "An acid and a salt.", "Which base neutralises the acid?"]


def test_keywords_are_what_a_tasks_texts_have_and_others_lack() -> None:
    found = keywords_of({"law": LEGAL, "chemistry": CHEMICAL})
    assert set(found["law"][:2]) == {"Court", "Tenant"}
    assert set(found["chemistry"][:2]) == {"Acid", "Base"}
    assert all(len(words) == 5 for words in found.values())


def test_what_every_task_says_is_no_keyword() -> None:
    found = keywords_of(
        {"law": [f"Question: {text}" for text in LEGAL], "x": [f"Question: {text}" for text in CHEMICAL]}
    )
    assert "Question" not in {word for words in found.values() for word in words}


def test_pairs_of_words_are_keywords_too_and_no_two_are_of_one_stem() -> None:
    texts = ["risk premium of bonds", "bond risk premium", "the risk premium"] * 3
    found = keywords_of({"finance": texts, "else": CHEMICAL})["finance"]
    assert found == ("Risk Premium", "Bond")


def test_one_long_text_does_not_speak_for_its_task() -> None:
    assert keywords_of({"law": [*LEGAL, "horse " * 500], "x": CHEMICAL})["law"][0] in {"Court", "Tenant"}


def test_commands_of_latex_numbers_and_letters_are_no_words() -> None:
    found = keywords_of({"maths": [r"\frac{12}{x} \mathrm{mass} of 12 kg", r"\frac{1}{2} mass"], "x": CHEMICAL})
    assert found["maths"] == ("Mass",)


def test_a_task_whose_texts_have_no_words_has_no_keywords() -> None:
    assert keywords_of({"sums": ["7 + 8?", "1 + 1?"]}) == {"sums": ()}
    assert keywords_of({"sums": ["7 + 8?"], "law": LEGAL, "none": []})["sums"] == ()
    assert keywords_of({}) == {}


def test_a_single_task_gets_its_most_frequent_words() -> None:
    assert keywords_of({"law": LEGAL}, number=2)["law"] in (("Court", "Tenant"), ("Tenant", "Court"))


def test_the_first_texts_of_a_task_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assigning, "TEXTS", 3)
    assert keywords_of({"law": [*LEGAL, *(["zebra"] * 9)], "x": CHEMICAL}) == keywords_of({"law": LEGAL, "x": CHEMICAL})


@settings(deadline=None, max_examples=50)  # the first example imports scikit-learn
@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3),
        st.lists(st.lists(st.sampled_from(VOCABULARY)).map(" ".join), max_size=4),
        max_size=4,
    ),
    st.integers(1, 6),
    st.randoms(),
)
def test_keywords_are_few_apart_and_do_not_hang_on_the_order_of_tasks(texts, number, random) -> None:
    found = keywords_of(texts, number)
    order = list(texts)
    random.shuffle(order)
    assert keywords_of({task: texts[task] for task in order}, number) == found
    for task, words in found.items():
        assert len(words) <= number
        assert len({"Court", "Courts"} & set(words)) <= 1
        assert len({part for word in words for part in word.split()}) == len(" ".join(words).split())
        assert all(part.lower() in " ".join(texts[task]) for word in words for part in word.split())


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(MissingExtra, match=r"scikit-learn, which finds keywords.*cit-router\[bench\]"):
        keywords_of({"law": LEGAL})


# -- tasks of a suite to be -------------------------------------------------------------------------------------------


def of(task: str, texts: list[str]) -> list[Item]:
    return [Item(id=f"{task}/{number}", task=task, instruction=text) for number, text in enumerate(texts)]


def test_keywords_come_from_who_knows_best() -> None:
    known = known_tasks()[0]
    items = [
        *of("given", LEGAL),
        *of("stored", LEGAL),
        *of("property_law", LEGAL),
        *of("sums 2", ["1 + 1"]),
        *of(known.id, CHEMICAL),
        lost("nobody's", "?"),
    ]
    stored = [
        Task(id="given", keywords=("old",)),
        Task(id="stored", keywords=("stored", "well", "said")),
        Task(id="property_law", keywords=("property", "law")),
        Task(id="not there", keywords=("k",)),
    ]
    found = {task.id: task.keywords for task in describe_tasks(items, {"given": ["a", "b"]}, stored)}
    assert list(found) == sorted(found)
    assert found.pop("property_law")[0] in {"Court", "Tenant"}, "the words of its id alone are no description"
    assert found == {
        "given": ("a", "b"),
        "stored": ("stored", "well", "said"),
        "sums 2": ("sums", "2"),
        known.id: known.keywords,
    }


def test_keywords_for_a_task_that_is_not_there_are_a_slip() -> None:
    with pytest.raises(InvalidInput, match="keywords are given for task 'lwa', and there is none; there are law"):
        describe_tasks(of("law", LEGAL), {"lwa": ["Court"]})


def test_scikit_learn_is_not_asked_for_where_there_is_nothing_to_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    assert describe_tasks(of("law", LEGAL), {"law": ["Court"]}) == (Task(id="law", keywords=("Court",)),)
    assert describe_tasks([Item(id="a", task="land law")], {}) == (Task(id="land law", keywords=("land", "law")),)
