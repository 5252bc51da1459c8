"""Each table is read by a network that has not learnt from it, and everything else by the network under test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from bench_tables import MODELS, StubNetwork, log_table, sibling
from numpy.typing import NDArray

from cit_core.catalogue import catalogue_profiles
from cit_core.errors import InvalidInput
from cit_core.evaluate.unseen import Unseen, judged_unseen
from cit_core.records import Capability
from cit_core.router.loading import Network
from cit_core.runtime import load_scorer

PROFILES = catalogue_profiles(MODELS[:3])


class Sure(StubNetwork):
    """A network that is surer of everything."""

    def read(
        self, instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        odds_NK, vectors_ND = super().read(instructions, capabilities)
        return odds_NK + 5.0, vectors_ND


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that left out `other` once and `third` once."""
    folder = tmp_path_factory.mktemp("runs")
    sibling(folder / "without-other" / "checkpoint", ["mmlu-pro", "third"], 3.0)
    sibling(folder / "without-third" / "checkpoint", ["mmlu-pro", "other"], -3.0)
    return folder


def test_texts_go_to_their_network_and_come_back_in_order() -> None:
    main, sure = StubNetwork(), Sure("sure@2")
    both = Unseen(main, {"b": sure, "d": sure})
    texts = ["a", "b", "c", "d", "e"]
    scores_NK, (odds_NK, vectors_ND) = both.score(texts, PROFILES), both.read(texts, PROFILES)
    for row, text in enumerate(texts):
        reader = sure if text in "bd" else main
        np.testing.assert_allclose(scores_NK[row], reader.score([text], PROFILES)[0])
        np.testing.assert_allclose(odds_NK[row], reader.read([text], PROFILES)[0][0])
        np.testing.assert_array_equal(vectors_ND[row], main.encode([text])[0])
    assert (5, 3) not in main.scored, "none of the others' texts was scored for nothing"
    np.testing.assert_array_equal(both.encode(texts), main.encode(texts))


def test_its_name_says_which_networks_read() -> None:
    """Scores that were kept for others are not taken for its own."""
    main = StubNetwork()
    names = [Unseen(main, {"b": other}).name for other in (StubNetwork("one@1"), StubNetwork("two@2"))]
    assert len({main.name, *names}) == 3
    assert names[0].startswith("stub@1, unseen tables by 1 others@")


def test_each_table_is_read_by_the_network_that_left_it_out(runs: Path) -> None:
    main: Network = load_scorer("mini")
    tables = [log_table(name, items=3) for name in ("other", "third", "new")]
    judged, learnt = judged_unseen(main, ["other", "third"], runs, tables)
    assert learnt == frozenset()
    scores = [judged.score(table.instructions, PROFILES).mean() for table in tables]
    assert scores[0] > 0.8 > 0.2 > scores[1]
    np.testing.assert_array_equal(
        judged.score(tables[2].instructions, PROFILES), main.score(tables[2].instructions, PROFILES)
    )
    network, rest = judged_unseen(main, ["other", "unknown"], runs, tables[:1])
    assert rest == {"unknown"}, "no network left it out"
    assert network.encoder == main.encoder


def test_a_folder_without_such_networks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"has no without-NAMES/checkpoint: cit train --data FOLDER --out .* --without NAMES"
    ):
        judged_unseen(StubNetwork(), ["other"], tmp_path, [])


def test_networks_of_another_encoder_are_refused(runs: Path) -> None:
    table = log_table("other", items=3)
    with pytest.raises(InvalidInput, match=r"without-other/checkpoint makes other vectors than stub@1"):
        judged_unseen(StubNetwork(), ["other"], runs, [table])
