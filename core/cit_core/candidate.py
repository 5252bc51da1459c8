"""The noun Candidate: an LLM that may be chosen, with its facts and what a call of it costs."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import Field

from cit_core.arms import samples_of
from cit_core.lazy import cached_property
from cit_core.validation import Amount, Identifier, Positive, Record

__all__ = ["Candidate", "PriceTier"]

LENGTHS = {"none": 0.3, "minimal": 0.4, "low": 0.53, "medium": 1.0, "high": 1.8, "xhigh": 2.5, "max": 3.0}
"""Length of an answer by effort, as a share of that at medium effort: of GPT-5 and o3 on Aider's benchmark for low to
high, of six models that do not reason for none; the others lie between or beyond (docs/lab-notes.md)."""


class PriceTier(Record):
    """Prices of a whole call whose prompt is longer than a limit of its provider's."""

    above: Positive
    """Longest prompt that is below this tier [tokens], cached ones included."""
    price_in: Amount
    """USD per 1M prompt tokens."""
    price_out: Amount
    """USD per 1M completion tokens."""
    price_cached: Amount | None = None
    """USD per 1M prompt tokens that the provider has cached."""


class Candidate(Record):
    """An LLM that may be chosen. `None` means not known: what is not known never excludes it."""

    id: Identifier
    context_window: Positive | None = None
    """Longest input and output together [tokens]."""
    price_in: Amount | None = None
    """USD per 1M prompt tokens."""
    price_out: Amount | None = None
    """USD per 1M completion tokens."""
    modalities: tuple[Identifier, ...] | None = None
    """Kinds of input it can read: text, image, audio, video, pdf."""
    tools: bool | None = None
    """True if it can call tools; None if not known."""
    structured_output: bool | None = None
    """True if its output can be constrained to a JSON schema; None if not known."""
    released: date | None = None
    params_b: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Parameters in all [billions]."""
    license: str | None = None
    aliases: tuple[Identifier, ...] = ()
    """Other names of the model."""
    max_output: Positive | None = None
    """Longest answer [tokens]."""
    price_cached: Amount | None = None
    """USD per 1M prompt tokens that the provider has cached."""
    price_cache_write: Amount | None = None
    """USD per 1M prompt tokens that the provider writes to its cache."""
    price_tiers: tuple[PriceTier, ...] = ()
    """Prices of calls with long prompts, where these cost more."""
    reasoning: bool | None = None
    """True if it reasons before it answers."""
    effort: Identifier | None = None
    """Reasoning effort that it is asked with."""
    deprecated: date | None = None
    """Day from which it is no longer served."""
    successor: Identifier | None = None
    """Model that its maker recommends in its place."""
    source: str | None = None
    """Source of these facts, and their date; of public ones the name that they were found by, too, and a digest."""
    notes: str = ""
    """Free text about the model, part of its capability text, which the shipped `mini` does not read."""

    @cached_property
    def length_share(self) -> float:
        """Return how long answers are at its effort, hidden reasoning included, as a share of those by default.

        Claude reasons only where an effort says so; other models that reason do it at medium effort by default.
        """
        default = "none" if any("claude" in name.lower() for name in (self.id, *self.aliases)) else "medium"
        return LENGTHS.get(self.effort or default, 1.0) / LENGTHS[default]

    @cached_property
    def samples(self) -> int:
        """Return how many answers one call asks for, as its id says: `gpt-5-mini@samples=5`."""
        return samples_of(self.id)

    def stated(self) -> dict[str, Any]:
        """Return the facts that are not the defaults, the id among them, by name."""
        return {name: getattr(self, name) for name in self.model_dump(exclude_defaults=True)}

    def has_ended(self, today: date | None = None) -> bool:
        """Return True if its maker no longer serves it."""
        return self.deprecated is not None and self.deprecated <= (today or date.today())

    def prices(self, prompt_tokens: float) -> Candidate | PriceTier:
        """Return what has the prices of a call whose prompt is this long: a tier, or the candidate itself."""
        reached = [tier for tier in self.price_tiers if prompt_tokens > tier.above]
        return max(reached, key=lambda tier: tier.above) if reached else self

    def expected_cost(
        self, prompt_tokens: float, completion_tokens: float, cached_tokens: float = 0.0, stored_tokens: float = 0.0
    ) -> float | None:
        """Return USD for one call of this size, or None where a price is not known.

        Args:
            prompt_tokens: Tokens that are read, those in the provider's cache among them.
            completion_tokens: Tokens that are written, hidden reasoning among them.
            cached_tokens: Tokens read from the cache; at the full price where no other is known.
            stored_tokens: Tokens written to the cache, likewise; in a tier at the same multiple of its price.
        """
        at = self.prices(prompt_tokens)
        if at.price_in is None or at.price_out is None:
            return None
        saved = 0.0 if at.price_cached is None else (at.price_in - at.price_cached) * cached_tokens
        multiple = (
            1.0 if self.price_cache_write is None or not self.price_in else self.price_cache_write / self.price_in
        )
        added = (multiple - 1.0) * at.price_in * stored_tokens
        return (at.price_in * prompt_tokens - saved + added + at.price_out * completion_tokens) / 1e6
