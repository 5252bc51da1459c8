"""A tokenizer that would fail on some query is refused when the checkpoint is opened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cit_core.errors import CheckpointError
from cit_core.runtime import Checkpoint, OnnxScorer
from cit_core.runtime.tokenizer import highest_token, open_tokenizer, read_tokens

Fields = dict[str, Any]


def rewritten(folder: Path, change: Callable[[Fields], Any]) -> Path:
    fields = json.loads((folder / "tokenizer.json").read_text())
    changed = change(fields)
    content = json.dumps(fields if changed is None else changed).encode()
    (folder / "tokenizer.json").write_bytes(content)
    config = json.loads((folder / "config.json").read_text())
    config["files"]["tokenizer.json"] = hashlib.sha256(content).hexdigest()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def without_special_token(fields: Fields) -> None:
    fields["post_processor"]["special_tokens"].pop("[SEP]")


def without_unknown_word(fields: Fields) -> None:
    fields["model"]["vocab"].pop("[UNK]")
    fields["added_tokens"] = [token for token in fields["added_tokens"] if token["content"] != "[UNK]"]


def with_pattern(fields: Fields) -> None:
    fields["pre_tokenizer"] = {
        "type": "Split",
        "pattern": {"Regex": "(a+)+$"},
        "behavior": "Isolated",
        "invert": False,
    }


def with_a_word_that_the_graphs_do_not_know(fields: Fields) -> None:
    fields["model"]["vocab"]["zzqx"] = 10_000_000


def test_the_shipped_tokenizer_passes_the_look_that_a_start_leaves_out() -> None:
    checkpoint = Checkpoint.open("mini")
    looked, not_looked = (open_tokenizer(checkpoint, shipped=shipped) for shipped in (False, True))
    assert looked.to_str() == not_looked.to_str()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_special_token, "cannot be loaded as a tokenizer that reads every text"),
        (without_unknown_word, "cannot be loaded as a tokenizer that reads every text"),
        (with_pattern, "regular expression"),
        (with_a_word_that_the_graphs_do_not_know, "do not fit each other"),
        (lambda _: [1, 2], "cannot be loaded as a tokenizer that reads every text"),
        (lambda _: {}, "cannot be loaded as a tokenizer that reads every text"),
        (lambda fields: {**fields, "model": {"type": "Unigram", "vocab": [], "unk_id": None}}, "tokenizer"),
        (
            lambda fields: {
                **fields,
                "post_processor": {"type": "BertProcessing", "sep": ["x", 10**9], "cls": ["y", 5]},
            },
            "do not fit each other",
        ),
    ],
)
def test_a_tokenizer_that_fails_on_a_query_is_refused(
    copied: Path, change: Callable[[Fields], Any], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        OnnxScorer(rewritten(copied, change))
    assert str(copied) in str(caught.value)


def test_the_one_that_ships_cuts_texts_at_the_networks_length() -> None:
    checkpoint = Checkpoint.open("mini")
    tokenizer = open_tokenizer(checkpoint)
    assert len(tokenizer.encode("word " * 1000).ids) == checkpoint.config["network"]["max_length"]
    assert highest_token(tokenizer) == 30521


@cache
def shipped_tokenizer() -> Any:
    return open_tokenizer(Checkpoint.open("mini"))


@settings(max_examples=60)
@given(
    st.lists(st.text("aé\u0301 .,\n\t\u3000\u65e5[]M\x00\U0001f600", min_size=1, max_size=12), min_size=1),
    st.sampled_from([" ", "\n", "", " [MASK] ", "\u0301 "]),
    st.integers(1, 400),
)
def test_a_text_is_read_as_far_as_it_counts_and_its_tokens_are_those_of_all_of_it(
    parts: list[str], space: str, times: int
) -> None:
    tokenizer = shipped_tokenizer()
    text = space.join(parts * times)
    for most in (8, 64):
        tokenizer.enable_truncation(most)
        assert read_tokens(tokenizer, text, most) == tokenizer.encode(text).ids


def test_what_is_cut_is_not_tokenised() -> None:
    class Counting:
        """A tokenizer which notes how much it is given."""

        def __init__(self, tokenizer: Any) -> None:
            self._tokenizer, self.given = tokenizer, 0

        def encode(self, text: str) -> Any:
            self.given += len(text)
            return self._tokenizer.encode(text)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._tokenizer, name)

    counting = Counting(shipped_tokenizer())
    shipped_tokenizer().enable_truncation(256)
    assert len(read_tokens(counting, "many words " * 100_000, 256)) == 256
    assert counting.given < 4_000
