"""A cached property computes once for an object, and holds no lock while it does."""

from __future__ import annotations

import threading

from cit_core.lazy import cached_property


class Counts:
    """Counts how often its property was computed."""

    computed = 0

    @cached_property
    def value(self) -> int:
        """Return how often it was computed."""
        self.computed += 1
        return self.computed


def test_it_computes_once_for_each_object() -> None:
    one, other = Counts(), Counts()
    assert [one.value, one.value, other.value, one.computed] == [1, 1, 1, 1]
    assert Counts.value.func(Counts()) == 1


def test_no_object_waits_for_another() -> None:
    class Waits:
        @cached_property
        def value(self) -> str:
            inside.set()
            leave.wait(30)
            return "done"

    inside, leave = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: Waits().value)
    thread.start()
    inside.wait(30)
    other = threading.Thread(target=lambda: (leave.set(), Waits().value))
    other.start()
    other.join(30)
    thread.join(30)
    assert not other.is_alive()
