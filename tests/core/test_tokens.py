"""The estimate of a text's tokens, beside the counts of real tokenizers, whose data llama-index-core ships."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import tiktoken
from llama_index.core import utils

from cit_core.tokens import Counted, counted_tokens, estimate_media_tokens, estimate_tokens

TEXTS = {
    "English": "The contract ends on the last day of March unless one of the parties asks for another year. ",
    "German": "Der Vertrag endet am letzten Märztag, sofern keine der Parteien ein weiteres Jahr verlangt. ",
    "Czech": "Smlouva končí posledním březnovým dnem, nepožádá-li některá ze stran písemně o další rok. ",
    "Vietnamese": "Hợp đồng kết thúc vào ngày cuối cùng của tháng ba, trừ khi một bên yêu cầu gia hạn bằng văn bản. ",
    "Russian": "Договор заканчивается в последний день марта, если ни одна из сторон не попросит продлить его. ",
    "Greek": "Η σύμβαση λήγει την τελευταία ημέρα του Μαρτίου, εκτός αν κάποιο μέρος ζητήσει παράταση. ",
    "Hebrew": "החוזה מסתיים ביום האחרון של מרץ, אלא אם אחד הצדדים מבקש שנה נוספת בכתב. ",
    "Arabic": "ينتهي العقد في اليوم الأخير من شهر مارس ما لم يطلب أحد الطرفين تمديده كتابيا. ",
    "Hindi": "यह अनुबंध मार्च के अंतिम दिन समाप्त होता है, जब तक कोई पक्ष एक और वर्ष न माँगे। ",
    "Bengali": "চুক্তিটি মার্চ মাসের শেষ দিনে শেষ হয়, যদি না কোনো পক্ষ আরও এক বছর চায়। ",
    "Thai": "สัญญาสิ้นสุดในวันสุดท้ายของเดือนมีนาคม เว้นแต่ฝ่ายใดฝ่ายหนึ่งจะขอต่ออายุเป็นหนังสือ ",
    "Chinese": "除非任何一方以书面形式要求延长一年，否则本合同于三月的最后一天终止。",
    "Japanese": "いずれかの当事者が書面で一年の延長を求めない限り、この契約は三月末日に終了します。",
    "Korean": "어느 한쪽이 서면으로 일 년 연장을 요청하지 않는 한 이 계약은 삼월 마지막 날에 끝난다. ",
    "code": "def area(self, width: float) -> float:\n    if width < 0.0:\n        raise ValueError\n    return 1\n",
    "JSON": '{"id": 48213, "name": "item 7", "price": 12.5, "tags": ["new", "sale"], "stock": null}\n',
    "table": "| 2031-03-07 | 418.20 | yes |\n|------------|--------|-----|\n| 2031-03-08 | 97.05 | no |\n",
    "base64": base64.b64encode(random.Random(0).randbytes(300)).decode(),
    "emoji": "🎉👍🔥🚀🙏🌍🍕✨",
}


Count = Callable[[str], int]


@pytest.fixture(scope="module")
def counts() -> dict[str, Count]:
    """Token counts of cl100k_base and o200k_base."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(Path(utils.__file__).parent / "_static/tiktoken_cache"))
        encodings = {name: tiktoken.get_encoding(name) for name in ("cl100k_base", "o200k_base")}
    return {name: lambda text, encoding=encoding: len(encoding.encode(text)) for name, encoding in encodings.items()}


@pytest.mark.parametrize("tokenizer", ["cl100k_base", "o200k_base"])
@pytest.mark.parametrize("name", TEXTS)
def test_no_script_is_estimated_much_below_a_real_tokenizer(
    name: str, tokenizer: str, counts: dict[str, Count]
) -> None:
    text = TEXTS[name] * 50
    assert estimate_tokens(text) >= 0.8 * counts[tokenizer](text)


@pytest.mark.parametrize("name", TEXTS)
def test_no_script_is_estimated_far_above_the_larger_count(name: str, counts: dict[str, Count]) -> None:
    text = TEXTS[name] * 50
    assert estimate_tokens(text) <= 1.4 * max(count(text) for count in counts.values())


def test_a_mixed_text_is_the_sum_of_its_parts() -> None:
    both = estimate_tokens(TEXTS["English"] * 20 + TEXTS["Chinese"] * 20)
    assert both == pytest.approx(estimate_tokens(TEXTS["English"] * 20) + estimate_tokens(TEXTS["Chinese"] * 20), abs=2)


def test_a_long_text_is_estimated_in_pieces_like_a_short_one() -> None:
    once, many = estimate_tokens(TEXTS["German"] * 10), estimate_tokens(TEXTS["German"] * 10_000)
    assert many == pytest.approx(1000 * once, rel=0.01)


def test_rulers_and_indents_are_hardly_counted() -> None:
    assert estimate_tokens("-" * 800 + "\n" * 200 + " " * 1000) < 120


def test_what_no_tokenizer_was_trained_on_counts_its_bytes() -> None:
    assert estimate_tokens("ሀለሐመ") == 12, "Ethiopic"
    assert estimate_tokens("\U00020000") == 4, "a rare ideograph"


@pytest.mark.parametrize("text", ["", " ", "a", "\ud800"])
def test_every_text_has_at_least_one_token(text: str) -> None:
    assert 1 <= estimate_tokens(text) <= 3


PDF = b"%PDF-1.4\n1 0 obj << /Type /Pages /Count 3 >>\n" + b"2 0 obj << /Type /Page >>\n" * 3


@pytest.mark.parametrize(
    "data",
    [
        PDF,
        base64.b64encode(PDF),
        base64.b64encode(PDF).decode(),
        f"data:application/pdf;base64,{base64.b64encode(PDF).decode()}",
    ],
    ids=["bytes", "base64", "text", "data URL"],
)
def test_a_pdf_counts_by_its_pages(data: str | bytes) -> None:
    assert estimate_media_tokens("pdf", data) == 3 * 3_000


def test_media_have_a_stated_length_each() -> None:
    assert [estimate_media_tokens(kind) for kind in ("image", "pdf", "audio", "video", "else")] == [
        1_600,
        3_000,
        2_000,
        10_000,
        0,
    ]
    assert estimate_media_tokens("image", "x" * 10_000_000) == 1_600
    assert estimate_media_tokens("pdf", size=1_000_000) == estimate_media_tokens("pdf", b"%PDF-1.7" + bytes(999_992))
    assert estimate_media_tokens("pdf", "no base64") == 3_000
    assert estimate_media_tokens("pdf", b"%PDF" + b"/Type /Page " * 1_000_000) == 2_000 * 3_000


XAI = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 140}


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}, (9, 2, 4)),
        ({"input_tokens": 9, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 4}}, (9, 2, 4)),
        ({"input_tokens": 9, "output_tokens": 2, "input_token_details": {"cache_read": 4}}, (9, 2, 4)),
        (
            {"input_tokens": 9, "output_tokens": 2, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 5},
            (18, 2, 4, 5),
        ),
        (
            {
                "input_tokens": 18,
                "output_tokens": 2,
                "input_token_details": {"cache_read": 4, "cache_creation": 0, "ephemeral_5m_input_tokens": 5},
            },
            (18, 2, 4, 5),
        ),
        (
            {"prompt_tokens": 18, "completion_tokens": 2, "prompt_tokens_details": {"cache_write_tokens": 5}},
            (18, 2, 0, 5),
        ),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 5}}, (9, None, 8, 1)),
        ({"prompt_tokens": 9, "completion_tokens": 2, "cache_read_input_tokens": 4}, (9, 2, 4)),
        ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4}, (9, 2, 4)),
        ({"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": 4}, (9, 2, 4)),
        (XAI, (100, 40, 0)),
        ({"prompt_tokens": 100, "total_tokens": 180}, (100, 80, 0)),
        ({"prompt_tokens": 100, "total_tokens": 100}, (100, None, 0)),
        ({**XAI, "total_tokens": 20}, (100, 10, 0)),
        ({"prompt_tokens": -1, "completion_tokens": "x", "total_tokens": True}, (None, None, 0)),
        ({"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 9}}, (3, None, 3)),
        (None, (None, None, 0)),
    ],
)
def test_what_providers_count(usage: object, counted: tuple[int | None, ...]) -> None:
    assert counted_tokens(usage) == Counted(*counted)
