"""Importers: outcomes which somebody else has measured, from the files that their tools write."""

from cit_core.aptitude.importers.base import BadRow, ImportReport, ItemRow, Row, import_rows, refuse, row_or_bad
from cit_core.aptitude.importers.limits import Limits

__all__ = ["BadRow", "ImportReport", "ItemRow", "Limits", "Row", "import_rows", "refuse", "row_or_bad"]
