"""Importers: outcomes measured elsewhere, from the files of evaluation tools."""

from cit_core.aptitude.importers.base import BadRow, ImportReport, ItemRow, Row, import_rows, refuse, row_or_bad
from cit_core.aptitude.importers.limits import Limits

__all__ = ["BadRow", "ImportReport", "ItemRow", "Limits", "Row", "import_rows", "refuse", "row_or_bad"]
