"""Every choice stands for one candidate, or it is said clearly why it does not."""

import pytest
from llama_index.core.tools import ToolMetadata

from cit_core.errors import InvalidInput, UnknownCandidate
from llamaindex_cit._choices import candidates_of

KNOWN = ["org/small", "org/large", "org/huge"]


def tool(name: str | None, description: str = "useful for questions") -> ToolMetadata:
    return ToolMetadata(description=description, name=name)


NAMED = [tool("facts"), tool("proofs")]
UNNAMED = [tool("query_engine_tool"), tool("query_engine_tool")]
TEXTS = [tool(None, "short facts"), tool(None, "long proofs")]


@pytest.mark.parametrize(
    ("choices", "mapping"),
    [
        pytest.param([tool("org/small"), tool("org/large")], {}, id="named after candidates"),
        pytest.param(NAMED, {"facts": "org/small", "proofs": "org/large"}, id="mapped by name"),
        pytest.param(NAMED, {0: "org/small", 1: "org/large"}, id="mapped by index"),
        pytest.param([tool(None, "org/small"), tool(None, "org/large")], {}, id="texts"),
        pytest.param(TEXTS, {"short facts": "org/small", "long proofs": "org/large"}, id="mapped by text"),
        pytest.param(UNNAMED, {0: "org/small", 1: "org/large"}, id="unnamed, mapped by index"),
        pytest.param([tool("query_engine_tool", id_) for id_ in KNOWN[:2]], {}, id="unnamed, described by id"),
        pytest.param([tool("facts", "org/small"), tool("org/large")], {}, id="each in its own way"),
        pytest.param(
            [tool("org/large"), tool("org/huge")], {"org/large": "org/small", 1: "org/large"}, id="mapping first"
        ),
    ],
)
def test_a_choice_is_known_by_mapping_name_or_text(choices, mapping) -> None:
    assert candidates_of(choices, KNOWN, mapping) == ["org/small", "org/large"]


def test_a_choice_that_matches_nobody_names_the_closest_and_the_way_out() -> None:
    with pytest.raises(UnknownCandidate) as caught:
        candidates_of([tool("org/small"), tool("org/larg")], KNOWN, {})
    assert "no candidate 'org/larg'" in str(caught.value)
    assert "for choice 1" in str(caught.value)
    assert "mapping={'org/larg': ID}" in str(caught.value)
    assert "'org/large'" in str(caught.value)


def test_tools_that_share_a_name_cannot_be_told_apart() -> None:
    with pytest.raises(InvalidInput, match=r"named 'query_engine_tool'.*name=ID.*mapping=\{0: ID, \.\.\.\}"):
        candidates_of(UNNAMED, KNOWN, {})
    with pytest.raises(InvalidInput, match="choice 1 and others are all named"):
        candidates_of(UNNAMED, KNOWN, {0: "org/small"})
    with pytest.raises(InvalidInput, match="all named"):
        candidates_of(UNNAMED, KNOWN, {"query_engine_tool": "org/small"})


@pytest.mark.parametrize(
    ("choices", "mapping", "message"),
    [
        ([tool("org/small"), tool("x")], {"x": "org/small"}, r"choices 0, 1 all belong to candidate 'org/small'"),
        ([tool(None, "org/small"), tool(None, "org/small")], {}, r"choices 0, 1 all belong to"),
        ([], {}, "no choices"),
        ([tool("query_engine_tool")], {}, "no candidate 'query_engine_tool'"),
        (
            [tool("org/small")],
            {-1: "org/large"},
            "mapping has -1, but there are only choices 0 to 0; map those, or names",
        ),
        ([tool("org/small"), tool("org/large")], {0: "org/small", 2: "org/huge"}, "mapping has 2, .* choices 0 to 1"),
    ],
)
def test_nothing_is_guessed(choices, mapping, message) -> None:
    with pytest.raises(InvalidInput, match=message):
        candidates_of(choices, KNOWN, mapping)
