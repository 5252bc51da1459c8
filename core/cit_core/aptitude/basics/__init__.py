"""The shipped suite `cit-basics`: short questions of 32 kinds whose answers are computed.

Nothing is downloaded, and every seed makes questions that no LLM has seen. A task is one small function that draws a
question of a given difficulty: `numbers`, `mathematics`, `chance`, `logic`, `words`, `everyday` and `programs` hold
them, and `suite` makes a Suite of them.
"""

from cit_core.aptitude.basics.suite import basics, examples

__all__ = ["basics", "examples"]
