"""The tables hold every fact of the records."""

from __future__ import annotations

from cit_core.records import Candidate
from cit_core.store.schema import candidates as candidates_table


def test_every_fact_about_a_candidate_has_a_column() -> None:
    assert set(candidates_table.c.keys()) == {"key", *Candidate.model_fields}
