"""Reading pictures: the hook and OCR run only if asked for, within limits, once a picture; nothing of it is told."""

from __future__ import annotations

import io
import logging
import pickle
import struct
import sys
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cit_core.errors import CITError, InvalidInput, MissingExtra
from cit_core.pictures import Picture
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Pictures, Query, Router
from cit_core.runtime.picture_reader import as_pictures_reader


def file_of(size: tuple[int, int] = (32, 16), form: str = "PNG") -> bytes:
    held = io.BytesIO()
    Image.new("RGB", size).save(held, form)
    return held.getvalue()


def bomb() -> bytes:
    """A small PNG that says it is 60,000 pixels wide and high."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + chunk + struct.pack(">I", zlib.crc32(chunk))


def sized(content: bytes) -> str:
    return f"a photo of {len(content)} bytes"


@pytest.fixture
def rapidocr(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A stand-in for the package, which is large; returns what it was given."""
    seen: list[Any] = []

    class RapidOCR:
        def __init__(self, **options: Any) -> None:
            assert options == {"intra_op_num_threads": 1}

        def __call__(self, image: Any) -> tuple[Any, Any]:
            seen.append(image)
            return [[None, "Total 12", 0.9], [None, "smudge", 0.2]], None

    module = ModuleType("rapidocr_onnxruntime")
    module.RapidOCR = RapidOCR  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", module)
    return seen


def test_text_is_read_once_where_the_user_gives_none(rapidocr: list[Any]) -> None:
    pictures = Pictures(ocr=True)
    for _ in range(2):
        mine, read = pictures.read([Picture.of(file_of(), text="mine"), Picture.of(file_of())])
        assert (mine.text, read.text) == ("mine", "Total 12")
    assert [image.shape for image in rapidocr] == [(16, 32, 3)]
    pictures.read([Picture.of(file_of((5_000, 10)))])
    assert max(rapidocr[-1].shape) <= 1_600
    copied = pickle.loads(pickle.dumps(pictures))
    assert copied.to_config() == pictures.to_config() == as_pictures_reader(pictures.to_config()).to_config()


def test_without_rapidocr_asking_for_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"cit-router\[ocr\]"):
        Pictures(ocr=True)
    Pictures()


@pytest.mark.parametrize(
    "picture",
    [Picture.of(bomb()), Picture.of(b"II*\0" + b"x" * 99), Picture.of(file_of((900, 900), "BMP")), Picture()],
    ids=["bomb", "unknown form", "large file", "address"],
)
def test_what_is_too_large_or_unknown_is_left_alone(picture: Picture, rapidocr: list[Any]) -> None:
    pictures = Pictures(ocr=True, encode_image=sized, most_bytes=1_000_000)
    assert pictures.read([picture]) == (picture,)
    assert not rapidocr


def test_a_file_that_breaks_off_has_no_text(rapidocr: list[Any]) -> None:
    broken = Picture.of(file_of((64, 64))[:60])
    assert Pictures(ocr=True).read([broken])[0].text == ""
    assert not rapidocr


def test_the_hook_gives_a_caption_or_features() -> None:
    (captioned,) = Pictures(encode_image=sized).read([Picture.of(file_of())])
    assert captioned.kind == "photo"
    (mine,) = Pictures(encode_image=sized).read([Picture.of(file_of(), "my caption")])
    assert mine.caption == "my caption"
    (seen,) = Pictures(encode_image=lambda _: [[0.5, 1.0]]).read([Picture.of(file_of())])
    assert np.asarray(seen.vector).shape == (1, 2)
    assert len(Pictures(encode_image=sized, most=1).read([Picture.of(file_of())] * 3)) == 3


def _fails(content: bytes) -> str:
    raise ValueError(f"a secret: {content!r}")


@pytest.mark.parametrize("hook", [_fails, lambda _: None, lambda _: [np.nan], lambda _: np.zeros((2, 2, 2))])
def test_a_hook_that_fails_costs_no_query(hook: Callable[[bytes], Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    router = Router(FakeScorer({"a": 0.5}), [Candidate(id="a")], pictures=Pictures(encode_image=hook))
    decision = router.decide(Query("what is it?", pictures=[Picture.of(file_of())]))  # type: ignore[arg-type]
    assert decision.chosen_by == "default"
    assert "encode_image" in decision.warnings[0]
    assert "secret" not in caplog.text + str(decision)
    with pytest.raises(CITError, match="encode_image"):
        Pictures(encode_image=hook).read([Picture.of(file_of())])


def test_a_scorer_reads_what_is_known_and_one_that_sees_is_given_the_pictures() -> None:
    class Seeing(FakeScorer):
        def score_with_pictures(self, instructions: Any, capabilities: Any, pictures: Any) -> Any:
            self.pictures = pictures
            return self.score(instructions, capabilities), None

    scorer, asked = Seeing({"a": 0.5}), [Picture.of(file_of(), "a bar chart")]
    router = Router(scorer, [Candidate(id="a")], strict=True)
    router.with_options(pictures={"most": 2}).decide_many(
        [Query("text alone"), Query("what is it?", pictures=asked)]  # type: ignore[arg-type]
    )
    assert scorer.calls == [("text alone", "what is it?\n\n[picture: bar chart, wide, small]\na bar chart")]
    assert [len(one) for one in scorer.pictures] == [0, 1]


@pytest.mark.parametrize("options", [{"most": 0}, {"ocr": "yes"}, {"encode_image": 3}, {"unknown": 1}])
def test_options_that_cannot_be_used(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        as_pictures_reader(options)
    with pytest.raises(InvalidInput):
        as_pictures_reader("ocr")
    with pytest.raises(InvalidInput):
        Query("q", pictures=["a.png"])  # type: ignore[list-item]
    with pytest.raises(InvalidInput, match="JSON"):
        Pictures(encode_image=sized).to_config()
