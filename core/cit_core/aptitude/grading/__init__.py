"""Grade answers in free text, and write the prompt of an item."""

from cit_core.aptitude.grading.graders import grade, prompt, rotated, with_options

__all__ = ["grade", "prompt", "rotated", "with_options"]
