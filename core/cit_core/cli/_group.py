"""Exit codes: 0 done, 1 refused or nothing to do, 2 bad input. No traceback reaches the user."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from cit_core.cli import _output
from cit_core.errors import CITError, InvalidInput

__all__ = ["BAD_INPUT", "REFUSED", "Group"]

REFUSED = 1
BAD_INPUT = 2
UsageError: Any = typer.BadParameter.__mro__[1]
"""Click's; newer versions of typer carry a click of their own, under another name."""


class Group(TyperGroup):
    """The root command: reports an error on stderr and turns it into the exit code."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Parse the options before the verb."""
        with _reported():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        with _reported():
            return super().invoke(ctx)


@contextmanager
def _reported() -> Iterator[None]:
    """Print an error of ours or of the system; escape control characters in those of typer, which quote arguments."""
    try:
        yield
    except UsageError as error:
        error.message = _output.escaped(error.message)
        raise
    except CITError as error:
        _output.complain(error)
        raise typer.Exit(BAD_INPUT if isinstance(error, InvalidInput) else REFUSED) from None
    except OSError as error:
        if error.errno == errno.EPIPE:  # `cit ... | head`: typer leaves quietly
            raise
        _output.complain(error)
        raise typer.Exit(REFUSED) from None
