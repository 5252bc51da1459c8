"""Table 1: zoos by size and date, all models, and seeded random zoos of similar strength."""

from __future__ import annotations

from collections.abc import Mapping

from cit_core.evaluate.comparison import BLIND, HINDSIGHT, Judged, blind_values_of, hindsight, judge, values_of
from cit_core.evaluate.experiments.baselines import OURS, baselines_of
from cit_core.evaluate.predictions import Scores
from cit_core.evaluate.results import Column, Table
from cit_core.evaluate.setting import Setting
from cit_core.evaluate.zoos import named_zoos
from cit_core.outcomes import random_zoos

__all__ = ["zoos"]


def zoos(setting: Setting, scores: Mapping[str, Scores]) -> tuple[Table, Table, Table]:
    """Measure every method in every zoo: accuracy, and the difference to the best by aptitude and to the best baseline.

    Args:
        setting: The setting with all models.
        scores: Method to scores.
    """
    candidates = [capability.candidate for capability in setting.capabilities]
    families = {name: [zoo] for name, zoo in named_zoos(candidates).items()}
    families["50 of similar strength"] = random_zoos(setting.aptitude)
    judged: dict[str, dict[str, Judged]] = {}
    for family, members in families.items():
        values = {name: values_of(given, setting.correct_NK, members) for name, given in scores.items()}
        values |= {BLIND.format(n): blind_values_of(scores[n], setting.correct_NK, members) for n in OURS}
        values |= hindsight(setting.correct_NK, setting.groups, members)
        judged[family] = {row.name: row for row in judge(values, baselines_of(scores))}
    last = judged["50 of similar strength"]
    order = sorted(last, key=lambda name: (name in HINDSIGHT, last[name].accuracy.mean))
    ours = tuple(place for place, name in enumerate(order) if name in OURS)

    def table(title: str, kind: str, cell: str, note: str) -> Table:
        columns = (Column("router", "text"), *(Column(family, kind) for family in families))  # type: ignore[arg-type]
        rows = tuple((name, *(getattr(judged[family][name], cell) for family in families)) for name in order)
        return Table(title=title, columns=columns, rows=rows, note=note, emphasis=ours)

    described = "; ".join(
        f"{name}: {', '.join(candidates[k].id for k in members[0])}"
        for name, members in families.items()
        if len(members) == 1
    )
    return (
        table("Accuracy, %", "percent", "accuracy", f"{setting.held_out} {described}."),
        table("Points above always taking the best by aptitude", "points", "above_single_best", ""),
        table("Points above the best baseline of the zoo, chosen in hindsight", "points", "above_best_baseline", ""),
    )
