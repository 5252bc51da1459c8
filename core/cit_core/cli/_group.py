"""From an exception to an exit code: 0 ok, 1 refused or nothing to do, 2 bad input. A person never sees a traceback."""

from __future__ import annotations

import errno
from typing import Any

import typer
from typer.core import TyperGroup

from cit_core.cli import _output
from cit_core.errors import CITError, InvalidInput

__all__ = ["BAD_INPUT", "REFUSED", "Group"]

REFUSED = 1
BAD_INPUT = 2


class Group(TyperGroup):
    """The root command: says what went wrong on stderr and turns it into the exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except CITError as error:
            _output.complain(error)
            raise typer.Exit(BAD_INPUT if isinstance(error, InvalidInput) else REFUSED) from None
        except OSError as error:
            if error.errno == errno.EPIPE:  # `cit ... | head`: typer leaves quietly
                raise
            _output.complain(error)
            raise typer.Exit(REFUSED) from None
