"""Every error is a CITError, says what came and what helps, and survives a trip to another process."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cit_core import errors
from cit_core.errors import (
    AnswerError,
    CITError,
    InvalidInput,
    MissingExtra,
    NoCandidate,
    Refused,
    StoreError,
    StoreTooNew,
    Transient,
    UnknownCandidate,
    by_reason,
)

KNOWN = ["gpt-4o", "gpt-4o-mini", "claude-3-5-sonnet", "Llama-3-8B"]


def test_the_tree_is_as_drawn() -> None:
    assert all(issubclass(getattr(errors, name), CITError) for name in errors.__all__)
    assert issubclass(UnknownCandidate, InvalidInput)
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(MissingExtra, ImportError)
    assert issubclass(StoreTooNew, StoreError)
    assert issubclass(Transient, AnswerError)
    assert issubclass(Refused, AnswerError)
    assert not issubclass(NoCandidate, InvalidInput)
    assert all(name in str(errors.__doc__) for name in errors.__all__)


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("gpt4o", "gpt-4o"),
        ("GPT-4O-MINI", "gpt-4o-mini"),
        ("claude-sonnet", "claude-3-5-sonnet"),
        ("llama", "Llama-3-8B"),
    ],
)
def test_an_unknown_candidate_names_the_closest(asked: str, first: str) -> None:
    error = UnknownCandidate(asked, KNOWN, "the catalogue")
    assert error.close[0] == first
    assert f"no candidate {asked!r} among the 4 in the catalogue; closest: {first!r}" in str(error)


def test_an_unknown_candidate_that_is_like_nobody_still_names_three() -> None:
    for unknown in ("zzz", 3):
        error = UnknownCandidate(unknown, KNOWN)  # type: ignore[arg-type]
        assert len(error.close) == min(3, len(KNOWN))
        assert all(repr(id_) in str(error) for id_ in error.close)
    assert "there is none to choose from" in str(UnknownCandidate("gpt-4o", []))


def test_of_many_that_are_close_three_are_named() -> None:
    assert len(UnknownCandidate("llama-3", [f"llama-3-{size}b" for size in (1, 3, 8, 70)]).close) == 3


@given(st.text(), st.lists(st.text()))
def test_at_most_three_known_ids_are_named_whatever_was_asked(asked: str, known: list[str]) -> None:
    close = UnknownCandidate(asked, known).close
    assert len(close) <= 3
    assert set(close) <= set(known)


def test_nobody_left_lists_every_reason_and_an_empty_zoo_says_so() -> None:
    error = NoCandidate({"a": "denied", "b": "cannot call tools"})
    assert error.reasons == {"a": "denied", "b": "cannot call tools"}
    assert str(error) == "all 2 candidates are excluded:\n  a: denied\n  b: cannot call tools"
    assert NoCandidate().reasons == {}
    assert "the zoo is empty" in str(NoCandidate())


def test_a_missing_extra_names_the_pip_command() -> None:
    assert (
        str(MissingExtra("torch", "train")) == "torch is not installed; it comes with: pip install 'cit-router[train]'"
    )


def test_what_is_wrong_with_the_key_or_the_model_is_fatal_unless_said_otherwise() -> None:
    fatal = [status for status in (None, 400, 401, 402, 403, 404, 413, 422) if Refused("no", status=status).fatal]
    assert fatal == [401, 402, 403, 404]
    assert Refused("no money left", status=429, fatal=True).fatal
    assert not Refused("flagged", status=403, fatal=False).fatal


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput("bad"),
        UnknownCandidate("gpt4", KNOWN, "a store"),
        NoCandidate({"a": "denied"}),
        MissingExtra("x", "y"),
        Transient("too fast", status=429, retry_after_s=1.5),
        Refused("no such model", status=404),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_pickling(error: CITError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_reasons_that_differ_in_the_id_alone_are_one_line() -> None:
    reasons = {f"m{n}": f"no price: `cit models add m{n}`" for n in range(5)} | {"x": "denied"}
    assert by_reason(reasons) == [("m0, m1, m2 and 2 more", "no price: `cit models add m0`"), ("x", "denied")]
    assert str(NoCandidate(reasons)).count("\n") == 2
