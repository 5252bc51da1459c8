"""Read pictures of queries: text in them by OCR, and what a hook of the user's makes of them. Off unless asked for."""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import CITError, InvalidInput, MissingExtra
from cit_core.fork import abandon, renew_after_fork
from cit_core.messages import shown
from cit_core.pictures import HEADER, LONGEST_WORDS, MOST_PICTURES, Picture, picture_size

__all__ = ["Pictures", "as_pictures_reader", "opened_picture"]

REMEMBERED = 256
"""Pictures that are not read again: a conversation sends its pictures at every turn."""
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
"""Formats that are decoded; each says its size before."""
LONGEST_SIDE = 1_600
"""Pictures are made smaller before their text is read [pixels]."""
SURE = 0.5
"""Confidence from which on a line of text counts."""
MOST_NUMBERS = 4_000_000
"""Numbers that a hook may return for a picture: 1,000 patches of width 4,000."""


class Pictures:
    """What is done with pictures of queries beyond their size and the user's words. Thread-safe; fetches nothing.

    Args:
        ocr: Read the text in pictures where the user gives none, with rapidocr (`pip install 'cit-router[ocr]'`); some
            second a picture on one core.
        encode_image: Hook that is given the bytes of a picture and returns a caption, or features: (D,) or (patches, D)
            numbers, for a scorer that sees (`score_with_pictures`). It runs in the decision, so it should be fast.
        most: Pictures of a query that are read at most, the first ones.
        most_bytes: Largest file that is read [bytes].
        most_pixels: Largest picture that is decoded; a file that says more is left alone, and so is one that says
            nothing.

    Raises:
        MissingExtra: If `ocr` is asked for and rapidocr is not installed.
        InvalidInput: If an option cannot be used.
    """

    def __init__(
        self,
        *,
        ocr: bool = False,
        encode_image: Callable[[bytes], Any] | None = None,
        most: int = MOST_PICTURES,
        most_bytes: int = 20_000_000,
        most_pixels: int = 40_000_000,
    ) -> None:
        for name, given in (("most", most), ("most_bytes", most_bytes), ("most_pixels", most_pixels)):
            if type(given) is not int or given < 1:
                raise InvalidInput(f"{name} is {shown(given)}; it must be a whole number of at least 1")
        if type(ocr) is not bool or not (encode_image is None or callable(encode_image)):
            raise InvalidInput(
                f"ocr is {shown(ocr)} and encode_image {shown(encode_image)}; use Pictures(ocr=True), or "
                "Pictures(encode_image=f) with a function of a picture's bytes"
            )
        self.ocr, self.encode_image = ocr, encode_image
        self._limits = {"most": most, "most_bytes": most_bytes, "most_pixels": most_pixels}
        if ocr:
            _rapidocr()
        self._engine: Any = None
        self._known: OrderedDict[bytes, tuple[str, str | NDArray[np.float32]]] = OrderedDict()
        self._renew_after_fork()
        renew_after_fork(self)

    def _renew_after_fork(self) -> None:
        self._lock, self._reading = threading.Lock(), threading.Lock()
        abandon(self._engine)
        self._engine = None

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Pictures], tuple[dict[str, Any]]]:
        return _pictures, ({"ocr": self.ocr, "encode_image": self.encode_image, **self._limits},)

    def to_config(self) -> dict[str, Any]:
        """Return the options as JSON can hold them.

        Raises:
            InvalidInput: If there is a hook: no JSON holds a function.
        """
        if self.encode_image is not None:
            raise InvalidInput("encode_image is a function, which JSON cannot hold; pass pictures= where it is opened")
        return {"ocr": self.ocr, **self._limits}

    def read(self, pictures: Sequence[Picture]) -> tuple[Picture, ...]:
        """Return pictures with what OCR and the hook say of them; the user's own words stay.

        Raises:
            CITError: If the hook fails, or returns what is neither a text nor numbers.
        """
        if not self.ocr and self.encode_image is None:
            return tuple(pictures)
        most = self._limits["most"]
        return (*map(self._read, pictures[:most]), *pictures[most:])

    def _read(self, picture: Picture) -> Picture:
        pixels = (picture.width or 0) * (picture.height or 0)
        content = picture.content(self._limits["most_bytes"]) if 0 < pixels <= self._limits["most_pixels"] else None
        if content is None:
            return picture
        digest = hashlib.sha256(content).digest() + bytes([bool(picture.text)])
        with self._lock:
            known = self._known.get(digest)
        if known is None:
            text = self._text_in(content) if self.ocr and not picture.text else ""
            known = text, self._encoded(content)
            with self._lock:
                self._known[digest] = known
                while len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
        text, encoded = known
        if isinstance(encoded, str):
            return replace(picture, text=picture.text or text, caption=picture.caption or encoded)
        return replace(picture, text=picture.text or text, vector=encoded)

    def _encoded(self, content: bytes) -> str | NDArray[np.float32]:
        if self.encode_image is None:
            return ""
        try:
            found = self.encode_image(content)
        except Exception as error:  # noqa: BLE001  # foreign code; what it says may hold the picture
            raise CITError(
                f"encode_image failed ({type(error).__name__}); it must take the bytes of a picture"
            ) from None
        if isinstance(found, str):
            return " ".join(found[: 4 * LONGEST_WORDS].split())[:LONGEST_WORDS]
        try:
            vector = np.asarray(found, np.float32)
        except (TypeError, ValueError):
            vector = np.zeros(0, np.float32)
        if vector.ndim not in (1, 2) or not 0 < vector.size <= MOST_NUMBERS or not np.isfinite(vector).all():
            raise CITError(
                f"encode_image returned {shown(found)}; it must return a text, or (D,) or (patches, D) numbers"
            )
        return vector

    def _text_in(self, content: bytes) -> str:
        """Return the text in a picture; none where it cannot be decoded."""
        seen = opened_picture(content, self._limits["most_pixels"])
        if seen is None:
            return ""
        seen.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        with self._reading:  # one session, and one picture's memory at a time
            if self._engine is None:
                self._engine = _rapidocr()(intra_op_num_threads=1)
            lines, _ = self._engine(np.asarray(seen)[:, :, ::-1])
        return " ".join(str(line[1]) for line in lines or () if float(line[2]) >= SURE)[:LONGEST_WORDS]


def opened_picture(content: bytes, most_pixels: int) -> Any | None:
    """Decode a picture with Pillow.

    Args:
        content: The file.
        most_pixels: Largest picture that is decoded.

    Returns:
        An RGB picture; None if it is too large, damaged, of another format, or not of the size that its file says.
    """
    from PIL import Image

    size = picture_size(content[:HEADER])
    if size is None or size[0] * size[1] > most_pixels:
        return None
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            return opened.convert("RGB") if opened.size == size else None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def as_pictures_reader(given: object) -> Pictures:
    """Return what reads pictures, whether it came as one or as its config.

    Raises:
        InvalidInput: If it is neither.
    """
    if isinstance(given, Pictures):
        return given
    if isinstance(given, dict):
        try:
            return Pictures(**given)
        except TypeError:
            pass
    raise InvalidInput(f"pictures is {shown(given)}; use Pictures(ocr=True) of cit_core.router")


def _pictures(options: dict[str, Any]) -> Pictures:
    return Pictures(**options)


def _rapidocr() -> Any:
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError:
        raise MissingExtra("rapidocr", "ocr") from None
    return RapidOCR
