"""Pictures of a message: the facts that cost nothing, and the words that are known of them.

The size comes from the first bytes of the file; caption and text are what the user wrote beside the picture. Nothing is
fetched, decoded or opened here. A scorer that reads text is given the facts as words (`described`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "HEADER",
    "LONGEST_WORDS",
    "MOST_PICTURES",
    "Picture",
    "as_pictures",
    "described",
    "picture_kind",
    "picture_size",
    "pictures_in",
    "split_pictures",
    "with_pictures",
]

MOST_PICTURES = 8
"""Pictures of a message that are described; of further ones only the number is told."""
LONGEST_WORDS = 1_200
"""Characters of a caption, and of the text in a picture, that are read."""
MARK = "\n\n[picture"
"""Beginning of what is said of pictures, below a question."""
HEADER = 65_536
"""Bytes of a file in which its size must be said."""
DEEPEST = 8
"""Levels of a content part that are looked into."""
PARTS = frozenset({"image", "image_url", "input_image", "computer_screenshot", "image_generation_call"})
"""Types of content parts that are pictures, or keys where parts have no type."""
CONTENTS = (
    *("data", "base64", "bytes", "image", "url", "image_url", "source", "inline_data", "inlineData", "file_data"),
    "result",
)
"""Names of what may hold the file or its address."""
CAPTIONS = ("caption", "alt", "alt_text", "image_caption", "description", "title")
TEXTS = ("ocr", "ocr_text", "extracted_text", "text_in_image")
ABOUT = ("metadata", "extras", "additional_kwargs", "image_url", "image", "source")
"""Names of what may hold a caption, beside the part itself."""
FREE = frozenset({"input", "args", "arguments", "json"})
"""Values that an LLM or a tool has written."""
BASE64 = re.compile(r"[A-Za-z0-9+/=_\-\s]{16}")
KINDS = (
    ("bar chart", r"bar (?:chart|graph|plot)|bars?\b.*\b(?:axis|chart)|histogram"),
    ("line chart", r"line (?:chart|graph|plot)|curves?\b.*\baxis"),
    ("pie chart", r"pie chart|donut chart"),
    ("scatter plot", r"scatter ?plot|box ?plot|heat ?map"),
    (
        "function plot",
        r"(?:graph|plot) of (?:an? |the |two )?(?:\w+ )?functions?|parabola|coordinate plane|\bx[- ]axis",
    ),
    ("chart", r"\bcharts?\b|\bgraph\b|\bplot\b"),
    ("table", r"\btables? (?:of|with|show|that|list)|\brows? and columns?|spreadsheet"),
    ("geometry diagram", r"triangles?\b|\bcircle\b|parallelogram|quadrilateral|trapezo|\bangles?\b|\bradius\b|geometr"),
    ("map", r"\bmaps?\b|states of the|continents?\b"),
    ("document", r"receipt|invoice|\bforms?\b|document|newspaper|\bpages? of|book cover|handwrit"),
    ("screenshot", r"screen ?shot|web ?site|user interface|\bapp\b"),
    ("diagram", r"diagrams?\b|flow ?chart|food (?:web|chain)|circuit|life cycle|molecul"),
    (
        "puzzle",
        r"puzzle|pattern of|sequence of (?:shapes|figures)|missing (?:piece|shape|figure)|chess ?board|crossword",
    ),
    ("rendered scene", r"3d|render|spheres?\b|cubes?\b|cylinders?\b|rubber|metallic"),
    ("medical image", r"x-?ray|\bct\b|\bmri\b|histolog|microscop|radiograph"),
    ("drawing", r"cartoon|clip ?art|drawing|illustration|\bicons?\b|emoji|painting|sketch"),
    ("people", r"\b(?:men|man|woman|women|people|person|boy|girl|player|actor|president)s?\b"),
    ("photo", r"photo|\bsitting\b|\bstanding\b|\bparked\b|in front of|\bstreet\b|\broom\b|outdoor"),
)
"""Kind of a picture to words of its caption that tell it, the surest first."""
_KINDS = tuple((kind, re.compile(words)) for kind, words in KINDS)
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of a query.

    Attributes:
        width: Width, where the file says it [pixels].
        height: Height [pixels].
        caption: Words about it, of the user or a captioning model.
        text: Text in it, by the user's OCR or ours.
        data: The file: bytes, base64 or a data URL; None where only an address is known. No log and no error shows it.
        vector: Features of it, one row or a row for each patch, of an `encode_image` hook.
    """

    width: int | None = None
    height: int | None = None
    caption: str = ""
    text: str = ""
    data: str | bytes | None = field(default=None, repr=False)
    vector: Any = field(default=None, repr=False)

    @classmethod
    def of(cls, data: str | bytes | None, caption: str = "", text: str = "") -> Picture:
        """Return a picture with the size that its file tells.

        Args:
            data: Bytes, base64 or a data URL; an address is not fetched.
            caption: Words about it.
            text: Text in it.
        """
        content = data if _is_content(data) else None
        size = picture_size(_decoded(content, HEADER)) if content else None
        width, height = size or (None, None)
        return cls(width, height, _words(caption), _words(text), content)

    @property
    def is_known(self) -> bool:
        """True if more is known of it than that it is there."""
        return bool(self.width or self.caption or self.text)

    @property
    def kind(self) -> str:
        """Kind of picture that the caption tells; `other` where it tells none."""
        return picture_kind(self.caption)

    def content(self, most_bytes: int) -> bytes | None:
        """Return the file; None if it is not known, no base64, or larger than allowed [bytes]."""
        if self.data is None or len(self.data) > (
            most_bytes if isinstance(self.data, bytes) else 4 * most_bytes // 3 + 128
        ):
            return None
        return _decoded(self.data) or None


def as_pictures(given: object) -> tuple[Picture, ...]:
    """Return pictures as a tuple; a ValueError if something else is among them."""
    found = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes) else (given,)
    if not all(isinstance(one, Picture) for one in found):
        raise ValueError("must be a list of cit_core.router.Picture; Picture.of(data, caption=...) makes one")
    return found


def picture_kind(caption: str) -> str:
    """Return the kind of picture that a caption tells: `bar chart`, `geometry diagram`, `photo`, ..., or `other`."""
    said = caption[:LONGEST_WORDS].lower()
    return next((kind for kind, words in _KINDS if words.search(said)), "other")


def described(pictures: Sequence[Picture]) -> str:
    """Return what is known of pictures in words, for a scorer that reads text; empty where nothing is."""
    lines = []
    for picture in (one for one in pictures[:MOST_PICTURES] if one.is_known):
        lines.append(f"[picture: {', '.join([picture.kind, *_shape(picture), *_amount(picture)])}]")
        lines += [said for said in (picture.caption, picture.text) if said]
    if len(pictures) > 1 and lines:
        lines.insert(0, f"[pictures: {len(pictures)}]")
    return "\n".join(lines)


def with_pictures(question: str, pictures: Sequence[Picture]) -> str:
    """Return a question with what is known of its pictures below it: what a scorer reads, and what a store keeps."""
    said = described(pictures)
    return f"{question}\n\n{said}" if said else question


def split_pictures(text: str) -> tuple[str, str]:
    """Return a question, and what is said of its pictures; that is empty where there is nothing."""
    question, mark, said = text.partition(MARK)
    return (question, (mark + said).strip()) if mark and question.strip() else (text, "")


def picture_size(head: bytes) -> tuple[int, int] | None:
    """Return width and height that the first bytes of a PNG, GIF, BMP, WebP or JPEG file tell [pixels]."""
    if head[:8] == b"\x89PNG\r\n\x1a\n" and head[12:16] == b"IHDR":
        size = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    elif head[:6] in (b"GIF87a", b"GIF89a"):
        size = int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    elif head[:2] == b"BM":
        size = int.from_bytes(head[18:22], "little"), abs(int.from_bytes(head[22:26], "little", signed=True))
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        size = _webp_size(head)
    else:
        size = _jpeg_size(head) if head[:2] == b"\xff\xd8" else (0, 0)
    return size if min(size) > 0 else None


def pictures_in(content: object) -> tuple[Picture, ...]:
    """Return the pictures in the content of a message: parts of any provider or framework, also in tool results."""
    return tuple(_pictures(content, DEEPEST))


def _pictures(part: object, deepest: int) -> Iterator[Picture]:
    if not deepest or isinstance(part, str | bytes):
        return
    if isinstance(part, list | tuple):
        for inner in part:
            yield from _pictures(inner, deepest - 1)
        return
    fields = _fields(part)
    if _is_picture(fields):
        about = [fields, *(held for name in ABOUT if (held := _fields(fields.get(name))))]
        caption, text = (_first(about, names) for names in (CAPTIONS, TEXTS))
        yield Picture.of(_content_in(fields, 4), caption, text)
        return
    for name, inner in fields.items():
        if name not in FREE and not isinstance(inner, str | bytes):
            yield from _pictures(inner, deepest - 1)


def _fields(value: object) -> Mapping[Any, Any]:
    """Return the fields of a mapping, or of a framework's block."""
    if isinstance(value, Mapping):
        return value
    is_block = hasattr(type(value), "model_fields") or hasattr(value, "block_type")
    fields = getattr(value, "__dict__", None) if is_block else None
    return fields if isinstance(fields, Mapping) else {}


def _is_picture(fields: Mapping[Any, Any]) -> bool:
    kind = str(fields.get("type") or fields.get("block_type") or "")
    media = next((fields[name] for name in ("mime_type", "media_type", "mimeType") if name in fields), None)
    if isinstance(media, str) and media.startswith("image/"):
        return True
    return kind in PARTS if kind else any(name in fields and fields[name] for name in PARTS)


def _first(holders: Iterable[Mapping[Any, Any]], names: Iterable[str]) -> str:
    said = (holder.get(name) for holder in holders for name in names)
    return next((one for one in said if isinstance(one, str) and one.strip()), "")


def _content_in(fields: Mapping[Any, Any], deepest: int) -> str | bytes | None:
    held = [fields.get(name) for name in CONTENTS]
    found = next((one for one in held if _is_content(one)), None)
    if found is None and deepest:
        found = next((one for inner in held if (one := _content_in(_fields(inner), deepest - 1))), None)
    return found


def _is_content(data: object) -> bool:
    """Return True for a file: bytes, a data URL, or base64; not for an address or a path."""
    if isinstance(data, bytes):
        return bool(data)
    if not isinstance(data, str) or len(data) < 16:
        return False
    return data.startswith("data:image") or (BASE64.match(data) is not None and "." not in data[:64])


def _decoded(data: str | bytes, most: int | None = None) -> bytes:
    """Return the bytes of a file, or its first ones; none where it is no base64."""
    cut = None if most is None else most // 3 * 4
    if isinstance(data, bytes):
        if picture_size(data[:HEADER]) is not None:
            return data[:most]
        text = data[:cut].decode("ascii", "ignore")  # a framework's block holds base64 as bytes
    else:
        start = data.find(",", 0, 200) + 1 if data.startswith("data:") else 0
        text = data[start:] if cut is None else data[start : start + cut]
    try:
        return base64.b64decode(text.translate(_URL_SAFE) + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""


_URL_SAFE = str.maketrans("-_", "+/")


def _words(said: object) -> str:
    text = " ".join(said[: 4 * LONGEST_WORDS].split()) if isinstance(said, str) else ""
    return text[:LONGEST_WORDS]


def _shape(picture: Picture) -> Iterator[str]:
    """Yield words for proportions and size, which features of a text can hold."""
    if picture.width and picture.height:
        ratio, pixels = picture.width / picture.height, picture.width * picture.height
        yield "wide" if ratio > 1.5 else "tall" if ratio < 0.67 else "square"
        yield "small" if pixels < 1e5 else "large" if pixels > 1e6 else "middling"


def _amount(picture: Picture) -> Iterator[str]:
    """Yield words for how much text is in it, where that is known."""
    words = len(picture.text.split())
    if picture.text:
        yield "few words" if words < 8 else "many words" if words > 40 else "some words"


def _webp_size(head: bytes) -> tuple[int, int]:
    chunk = head[12:16]
    if chunk == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


def _jpeg_size(head: bytes) -> tuple[int, int]:
    """Return the size in the first frame header; (0, 0) where there is none in the beginning of the file."""
    at = 2
    while at + 9 < len(head) and head[at] == 0xFF:
        if head[at + 1] in _JPEG_SIZES:
            return int.from_bytes(head[at + 7 : at + 9], "big"), int.from_bytes(head[at + 5 : at + 7], "big")
        at += 2 if head[at + 1] in (0xFF, 0x01) else 2 + max(2, int.from_bytes(head[at + 2 : at + 4], "big"))
    return 0, 0
