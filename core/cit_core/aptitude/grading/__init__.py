"""From an answer in free text to right or wrong, and from an item to what is asked."""

from cit_core.aptitude.grading.graders import grade, prompt, rotated, with_options

__all__ = ["grade", "prompt", "rotated", "with_options"]
