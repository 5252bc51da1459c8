"""A sample of a table keeps the core set, and is the same for the same seed."""

from __future__ import annotations

import numpy as np
from bench_tables import core_table

from cit_core.catalogue import core_suite
from cit_core.evaluate.samples import thin
from cit_core.outcomes import Split


def test_thin_keeps_the_core_set_and_a_seeded_share_of_the_rest() -> None:
    table = core_table(core=100, others=1500)
    core = set(core_suite().item_ids)
    found = thin(table, Split(), 0.2)
    rows = [table.item_ids.index(id_) for id_ in found.item_ids]
    assert rows == sorted(rows)
    assert [id_ for id_ in found.item_ids if id_ in core] == [id_ for id_ in table.item_ids if id_ in core]
    assert 0.15 * 1500 < len(rows) - 100 < 0.25 * 1500
    np.testing.assert_array_equal(found.correct_IK, table.correct_IK[rows])
    for name in ("tasks", "categories", "instructions", "questions"):
        assert getattr(found, name) == tuple(getattr(table, name)[row] for row in rows)
    assert (found.name, found.candidates) == (table.name, table.candidates)
    assert thin(table, Split(), 0.2).item_ids == found.item_ids
    assert thin(table, Split(seed="other"), 0.2).item_ids != found.item_ids
    assert len(thin(table, Split(), 0.0).item_ids) == 100
    test = Split().items(found.item_ids)["test"]
    assert len(test) > 0.1 * (len(rows) - 100), "the share that is held out is not thinned away"
