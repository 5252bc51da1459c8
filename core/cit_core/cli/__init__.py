"""The command line: `cit`. One module per verb; heavy imports wait inside the commands."""

from __future__ import annotations

from cit_core.cli._app import app, main

__all__ = ["app", "main"]
