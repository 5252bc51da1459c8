"""Who is in the zoo of these tests, and what the fake scorer thinks of them."""

IDS = ["small", "large"]


def prefer_large_for_hard(instruction: str, candidate: str) -> float:
    """The large one for what is hard, the small one for the rest."""
    return 0.9 if (candidate == "large") == ("hard" in instruction) else 0.4
