"""Choose a candidate by probabilities: constraints say which candidates may be chosen, a policy says which one is.

Numbers and facts alone; nothing here sees the text of a query.
"""

from cit_core.policy.constraints import PLAIN_TEXT, Constraints, QueryFacts, as_constraints
from cit_core.policy.goals import Budget, Goal, Latency, Share
from cit_core.policy.notation import HELP, as_policy, parse_policy, read_policy_file
from cit_core.policy.pacer import BudgetPacer, Spend, SpendBook, pacer_of
from cit_core.policy.rules import Best, CostAware, FunctionPolicy, Policy, Quality, Scored, Threshold, Tradeoff, rank

__all__ = [
    "HELP",
    "PLAIN_TEXT",
    "Best",
    "Budget",
    "BudgetPacer",
    "Constraints",
    "CostAware",
    "FunctionPolicy",
    "Goal",
    "Latency",
    "Policy",
    "Quality",
    "QueryFacts",
    "Scored",
    "Share",
    "Spend",
    "SpendBook",
    "Threshold",
    "Tradeoff",
    "as_constraints",
    "as_policy",
    "pacer_of",
    "parse_policy",
    "rank",
    "read_policy_file",
]
