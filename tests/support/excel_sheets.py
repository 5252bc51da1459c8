"""Excel sheets as pandas writes them, without a library that the tests would need."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

NAMESPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def write_sheet(path: Path, rows: Sequence[Mapping[str, Any]], *, shared: bool = True, head: str = "") -> Path:
    """Write rows with a header; texts are shared, or in their cells; `head` goes before the sheet's root."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    texts: list[str] = []
    lines = []
    for number, values in enumerate([names, *([row.get(name) for name in names] for row in rows)], start=1):
        cells = "".join(_cell(f"{_letters(at)}{number}", value, texts, shared) for at, value in enumerate(values))
        lines.append(f'<row r="{number}">{cells}</row>')
    sheet = f'{head}<worksheet xmlns="{NAMESPACE}"><sheetData>{"".join(lines)}</sheetData></worksheet>'
    said = "".join(f'<si><t xml:space="preserve">{escape(text)}</t></si>' for text in texts)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
        if texts:
            archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{NAMESPACE}">{said}</sst>')
    return path


def _cell(place: str, value: Any, texts: list[str], shared: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if not isinstance(value, str):
        return f'<c r="{place}"><v>{value}</v></c>'
    if not shared:
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    texts.append(value)
    return f'<c r="{place}" t="s"><v>{len(texts) - 1}</v></c>'


def _letters(column: int) -> str:
    return chr(65 + column) if column < 26 else chr(64 + column // 26) + chr(65 + column % 26)
