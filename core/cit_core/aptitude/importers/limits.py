"""Limits on one imported file, against damaged and hostile files that would fill memory or time."""

from __future__ import annotations

from dataclasses import dataclass, fields

from cit_core.errors import InvalidInput

__all__ = ["DEFAULT_LIMITS", "Limits"]

MIB = 2**20
FREE = 16 * MIB
"""Bytes to which any packed file may unpack."""


@dataclass(frozen=True)
class Limits:
    """Limits of one file. With the default ones an import takes less than 300 MB of memory, whatever the file holds.

    Raises:
        InvalidInput: If a limit is less than 1.
    """

    unpacked_bytes: int = 16 * 2**30
    """Bytes of the file, unpacked where it is packed. They are streamed."""
    expansion: int = 200
    """Unpacked bytes for each packed byte, beyond the first 16 MiB."""
    record_bytes: int = 8 * MIB
    """Bytes of one line, row or JSON record, which is held in memory."""
    record_values: int = 250_000
    """Values of one JSON record."""
    depth: int = 100
    """Levels of lists and objects in a JSON record."""
    rows: int = 20_000_000
    """Rows, lines or records."""
    columns: int = 5_000
    """Columns of a table."""
    names: int = 20_000
    """Different models, and different tasks, of one import."""
    members: int = 20_000
    """Files in an archive."""
    frame_values: int = 1_000_000
    """Values of a pickled DataFrame, which are held in memory; numbers count as a tenth."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidInput(f"limit {field.name} is {value!r:.40}; it must be a whole number, 1 or more")

    def check(self, name: str, value: int, what: str) -> None:
        """Refuse a value above a limit.

        Args:
            name: Field of the limit.
            value: The value.
            what: Subject of the message, such as "a.csv has 60,000 columns" without the number.

        Raises:
            InvalidInput: Names the limit and how to raise it.
        """
        limit = getattr(self, name)
        if value > limit:
            raise InvalidInput(f"{what.format(n=f'{value:,}')}; {self.hint(name)}")

    def hint(self, name: str) -> str:
        """Return how a limit is raised."""
        return f"the limit {name} is {getattr(self, name):,} (limits=Limits({name}=...) in Python raises it)"

    def largest_unpacked(self, packed_bytes: int) -> int:
        """Return the most bytes that a packed file of this size may unpack to."""
        return min(self.unpacked_bytes, FREE + self.expansion * packed_bytes)


DEFAULT_LIMITS = Limits()
