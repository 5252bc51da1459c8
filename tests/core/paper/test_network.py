"""The paper's network is what the paper says: the next token's Pr('Yes') of a plain model on `[c, x, p]`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_paper import (
    LMS,
    POSITIONS,
    TEXTS,
    VOCABULARY,
    bert,
    bpe_tokenizer,
    llama,
    paper,
    parts,
    tiny_config,
    tokenizer,
    zoo,
)

from cit_core.errors import InvalidInput
from cit_core.mini.prompt import INQUIRY
from cit_core.paper.config import PAPER, LoRA
from cit_core.paper.network import PaperNetwork, Words
from cit_core.paper.tokenization import shuffled_text, words_of
from cit_core.paper.weights import Parts, new_paper
from cit_core.records import Candidate, Capability

ORDERS = {"cxp": "capability_first", "xcp": "instruction_first", "xpc": "capability_last"}
CAUSAL = [name for name in LMS if name != "bert"]


def test_the_preset_is_the_papers() -> None:
    assert (PAPER.encoder, PAPER.lm) == ("intfloat/e5-large-v2", "microsoft/Phi-3-mini-128k-instruct")
    assert (PAPER.capability, PAPER.head, PAPER.order, PAPER.shuffles) == ("pooled", "yes", "capability_first", 2)


@pytest.mark.parametrize("order", ["cxp", "xcp", "xpc"])
@pytest.mark.parametrize("lm", CAUSAL)
def test_the_score_is_the_language_models_own_probability_of_yes_as_the_next_token(lm: str, order: str) -> None:
    """Against Hugging Face's whole model, without a mask or positions of ours, on a row put together here."""
    network, reader = paper(lm, order=ORDERS[order])
    model = zoo(3)[1]
    with torch.no_grad():
        odds = network(**reader.instructions([["solve algebra"]]), **reader.capabilities([[model]], [0]))[0, 0, 0]
        embed = network.lm.get_input_embeddings()
        words = tokenizer()

        def said(text: str) -> torch.Tensor:
            return embed(torch.tensor(words(text, add_special_tokens=False)["input_ids"]))

        text = tokenizer()(shuffled_text(model, 0), truncation=True, max_length=96, return_tensors="pt")
        states = network.encoder(**text).last_hidden_state[0]
        pooled = torch.nn.functional.normalize(states.mean(0), dim=0)
        c = (network.connector.weight @ pooled + network.connector.bias)[None]
        pieces = {"c": c, "x": said("solve algebra"), "p": said(INQUIRY)}
        row = torch.cat([embed(torch.tensor([2])), *(pieces[name] for name in order)])
        logits = network.lm(inputs_embeds=row[None]).logits[0, -1]
        yes, no = (logits[VOCABULARY.index(word)] for word in ("yes", "no"))
        expected = torch.stack([no, yes]).softmax(0)[1]
    torch.testing.assert_close(odds.sigmoid(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("order", ["cxp", "xcp", "xpc"])
def test_without_an_encoder_the_capability_is_read_as_words(order: str) -> None:
    network, reader = paper("qwen2", order=ORDERS[order], capability="text")
    assert network.encoder is None
    assert network.connector is None
    model = zoo(2)[1]
    with torch.no_grad():
        odds = network(**reader.instructions([["why"]]), **reader.capabilities([[model]], [1]))[0, 0, 0]
        pieces = {"c": shuffled_text(model, 1), "x": "why", "p": INQUIRY}
        ids = [2]
        for piece in (pieces[name] for name in order):
            ids += tokenizer()(piece, add_special_tokens=False)["input_ids"][:96]
        logits = network.lm(torch.tensor([ids])).logits[0, -1]
    yes, no = (VOCABULARY.index(word) for word in ("yes", "no"))
    assert odds.item() == pytest.approx((logits[yes] - logits[no]).item(), abs=1e-4)


def test_a_regression_head_reads_the_same_state() -> None:
    network, reader = paper("llama", head="regression")
    seen: list[torch.Tensor] = []
    network.regression.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        odds = network(**reader.instructions([TEXTS]), **reader.capabilities([zoo(3)], [0]))[0]
        expected = network.regression(seen[0]).squeeze(-1)  # prefixes of capabilities, blocks of instructions
    torch.testing.assert_close(odds, expected.T, rtol=0, atol=1e-6)
    assert odds.std(0).min() > 1e-3


def test_an_encoder_as_phi_is_read_in_both_directions() -> None:
    """The last word of an instruction changes the state of its first one."""
    network, reader = paper("bert", order="instruction_first")
    causal, _ = paper("llama", order="instruction_first")
    states: dict[str, list[Any]] = {"bert": [], "llama": []}
    for name, made in (("bert", network), ("llama", causal)):
        made.lm.base_model.register_forward_hook(
            lambda _, __, output, name=name: states[name].append(output.last_hidden_state)
        )
        for text in ("law a", "law b"):
            with torch.no_grad():
                made(**reader.instructions([[text]]), **reader.capabilities([zoo(1)], [0]))
    first, second = (x[0, 1] for x in states["bert"])
    assert not torch.allclose(first, second, atol=1e-3)
    first, second = (x[0, 1] for x in states["llama"])
    torch.testing.assert_close(first, second)


def test_a_set_has_no_order_and_a_number_is_read_as_a_number() -> None:
    network, reader = paper("llama", capability="set")
    one = zoo(2)[1]
    turned = one.model_copy(update={"results": one.results[::-1]})
    with torch.no_grad():
        odds = network(**reader.instructions([["why"]]), **reader.capabilities([[one, turned, zoo(3)[2]]], [0]))[0, 0]
    assert odds[0].item() == pytest.approx(odds[1].item(), abs=1e-5)
    assert abs(odds[0].item() - odds[2].item()) > 1e-4
    nobody = Capability(candidate=Candidate(id="new"))
    with torch.no_grad():
        alone = network(**reader.instructions([["why"]]), **reader.capabilities([[nobody]], [0]))
    assert alone.isfinite().all()


def test_shuffles_are_orders_of_one_text_and_the_same_for_equal_results() -> None:
    model = zoo(2, tasks=("algebra", "law", "cell", "energy", "market"))[1]
    texts = {shuffled_text(model, shuffle) for shuffle in range(8)}
    assert len(texts) > 4
    assert {tuple(sorted(text.split())) for text in texts if text.count(",")}, "the same words"
    turned = model.model_copy(update={"results": model.results[::-1]})
    assert [shuffled_text(turned, s) for s in range(3)] == [shuffled_text(model, s) for s in range(3)]
    for text in texts:
        for result in model.results:
            assert f'accuracy {result.accuracy:.1%} on the task of "{result.task.description}"' in text


# ---- what learns


@pytest.mark.parametrize("head", ["yes", "regression"])
@pytest.mark.parametrize("lm", LMS)
def test_stages_let_the_connector_learn_alone_and_then_all_that_a_score_depends_on(lm: str, head: str) -> None:
    network, reader = paper(lm, head=head)
    network.unfreeze("connector")
    learns = {name.partition(".")[0] for name, p in network.named_parameters() if p.requires_grad}
    assert learns == {"connector"} | ({"regression"} if head == "regression" else set())
    assert network.learnt == {n for n, p in network.named_parameters() if p.requires_grad}
    network.unfreeze("all")
    network(**reader.instructions([TEXTS]), **reader.capabilities([zoo(2)], [0])).sum().backward()
    waiting = [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert waiting == [], "several processes would wait for these gradients for ever"
    left_out = {n for n, p in network.named_parameters() if not p.requires_grad}
    assert all("pooler" in name or "lm_head" in name for name in left_out)


@pytest.mark.parametrize("lm", ["llama", "phi3"])
def test_lora_leaves_the_language_model_and_starts_from_it(lm: str) -> None:
    plain, reader = paper(lm)
    network, _ = paper(lm, lora=LoRA(rank=2, alpha=4))
    network.connector.load_state_dict(plain.connector.state_dict())
    read = {**reader.instructions([TEXTS]), **reader.capabilities([zoo(3)], [0])}
    with torch.no_grad():
        torch.testing.assert_close(network(**read), plain(**read), rtol=0, atol=1e-5)
    network.unfreeze("all")
    of_lm = {name for name, p in network.named_parameters() if name.startswith("lm.") and p.requires_grad}
    assert of_lm
    assert all("lora_" in name for name in of_lm)
    assert any(name.startswith("encoder.") for name in network.learnt)


def test_checkpointed_activations_give_the_same_gradients() -> None:
    found = []
    for checkpoint in (False, True):
        network, reader = paper("llama")
        network.train()
        if checkpoint:
            network.checkpoint_activations()
        network(**reader.instructions([TEXTS]), **reader.capabilities([zoo(2)], [0])).sum().backward()
        found.append({name: p.grad for name, p in network.named_parameters() if p.grad is not None})
        assert network.lm.base_model.gradient_checkpointing is checkpoint
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=1e-5, atol=1e-5)


# ---- refusals


def test_a_row_that_phi_has_no_positions_for_is_refused_with_the_numbers() -> None:
    with pytest.raises(InvalidInput, match=rf"has {POSITIONS} positions; max_length 500, 1 tokens .* lower max_length"):
        paper("llama", max_length=500)


def test_no_connector_can_learn_alone_where_there_is_none() -> None:
    network, _ = paper("llama", capability="text")
    with pytest.raises(InvalidInput, match="without an encoder there is no connector"):
        network.unfreeze("connector")


def test_an_encoder_is_there_exactly_if_the_config_has_one() -> None:
    words = Words((), (5,), 6, 7)
    with pytest.raises(InvalidInput, match="'pooled' needs an encoder"):
        PaperNetwork(tiny_config(), llama(), None, words)
    with pytest.raises(InvalidInput, match="'text' needs no encoder"):
        PaperNetwork(tiny_config(capability="text"), llama(), bert(), words)


def test_a_tokenizer_that_cannot_tell_yes_from_no_is_refused() -> None:
    class OneAnswer:
        name_or_path = "strange"

        def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
            return {"input_ids": [1] * len(text.split())}

    with pytest.raises(InvalidInput, match="'strange' has one token for the beginning of both 'Yes' and 'No'"):
        words_of(OneAnswer())


def test_two_lora_layers_on_one_model_are_refused() -> None:
    made = parts("llama")
    config = tiny_config(lora=LoRA(rank=2))
    new_paper(config, made)
    with pytest.raises(InvalidInput, match="LoRA layers already"):
        new_paper(config, Parts(*made))


def test_yes_is_the_token_that_would_follow_the_inquiry() -> None:
    words = bpe_tokenizer()
    found = words_of(words)
    assert [words.decode([found.yes]), words.decode([found.no])] == [" Yes", " No"]
    assert words.decode(list(found.inquiry)) == f"\n{INQUIRY}"


@pytest.mark.parametrize("start", [True, False])
def test_a_sequence_begins_as_the_tokenizer_begins_one(start: bool) -> None:
    assert words_of(tokenizer(start=start)).start == ((2,) if start else ())
