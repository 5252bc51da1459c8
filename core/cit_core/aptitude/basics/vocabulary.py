"""Vocabulary of the questions: plain words, so that no task needs rare knowledge."""

from __future__ import annotations

__all__ = ["GROUPS", "NAMES", "THINGS", "WORDS"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NAMES = _words(
    "Anna Boris Clara David Elena Felix Greta Hugo Irene Jonas Katja Leo Marta Nils Olga Pedro Quinn Rosa Simon "
    "Tara Umar Vera Walter Xenia Yusuf Zoe"
)
THINGS = _words(
    "apples marbles pencils stickers shells coins buttons cards beads stamps candles ribbons tickets badges plums nails"
)
"""Things to count, give away and sell."""
GROUPS = _words(
    "mirps tavoks zellins brundles quargs fennits dolvers snarks plims hastors wexels grumbits jovants kirrels "
    "lummocks ostrils pondels rivvets sworbs trangs"
)
"""Groups of invented beings, about which no LLM has prior knowledge."""
WORDS = _words(
    "anchor autumn balcony basket beacon blanket border bottle branch bridge bronze bucket butter button candle "
    "canvas carpet castle cellar chapel cherry circle coffee copper corner cotton cradle curtain dancer desert "
    "dragon engine fabric falcon farmer feather fiddle finger flower forest garden garlic giraffe glacier hammer "
    "harbor helmet hunter island jacket jungle kettle kitchen ladder lantern lemon lizard marble market meadow "
    "mirror monkey morning mustard needle notebook ocean orchard oyster paddle palace parrot pebble pencil pepper "
    "piano pillow planet pocket potato prison puzzle rabbit radish raven ribbon river rocket saddle sailor salmon "
    "shadow shelter shoulder silver singer spider spirit sponge spring squirrel station stream summer sunset tailor "
    "teacher temple thunder ticket timber tomato tractor trumpet tunnel turtle umbrella valley velvet village "
    "violin wagon walnut window winter wizard yellow"
)
