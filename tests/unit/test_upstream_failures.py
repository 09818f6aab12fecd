"""How statuses, bodies and headers of an upstream's error become our own."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from conversations.errors import UpstreamError
from conversations.upstream.failures import failure_in_answer, failure_of_status, seconds_to_wait

NO_HEADERS: CIMultiDict[str] = CIMultiDict()


def failure(status: int, body: Any = b"", **headers: str) -> UpstreamError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return failure_of_status(status, named, raw)


STATUSES = [
    # upstream, ours, type, code, retryable
    (400, 400, "invalid_request_error", "invalid_value", None),
    (401, 502, "server_error", "bad_gateway", False),
    (402, 402, "invalid_request_error", "payment_required", None),
    (403, 403, "invalid_request_error", "forbidden", None),
    (404, 404, "invalid_request_error", "not_found", None),
    (407, 502, "server_error", "bad_gateway", False),
    (408, 504, "server_error", "backend_unavailable", False),
    (409, 409, "invalid_request_error", "conflict", None),
    (413, 413, "invalid_request_error", "request_too_large", None),
    (422, 422, "invalid_request_error", "unsupported_parameter", None),
    (429, 429, "rate_limit_error", "rate_limit_exceeded", None),
    (499, 499, "invalid_request_error", "invalid_value", None),
    (500, 500, "server_error", "internal_error", False),
    (501, 502, "server_error", "bad_gateway", False),
    (502, 502, "server_error", "bad_gateway", False),
    (503, 503, "server_error", "backend_unavailable", False),
    (504, 504, "server_error", "backend_unavailable", False),
    (529, 502, "server_error", "bad_gateway", False),
    (999, 502, "server_error", "bad_gateway", False),
    (101, 502, "server_error", "bad_gateway", False),
    (204, 502, "server_error", "bad_gateway", False),
    (302, 502, "server_error", "bad_gateway", False),
]


@pytest.mark.parametrize(("theirs", "ours", "kind", "code", "retryable"), STATUSES)
def test_status_decides_type_code_and_retry(
    theirs: int, ours: int, kind: str, code: str, retryable: bool | None
) -> None:
    named = failure(theirs, b"<html>")
    assert (named.status, named.type, named.code, named.retryable) == (ours, kind, code, retryable)
    assert named.answer == (b"" if theirs in {401, 407} else b"<html>")
    assert "<" not in named.message


ENVELOPES = [
    # body, message, type, param, code
    (
        {"error": {"message": "Bad.", "type": "t", "param": "p", "code": "c"}},
        ("Bad.", "t", "p", "c"),
    ),
    ({"error": {"message": "Bad.", "code": 400}}, ("Bad.", "invalid_request_error", None, "invalid_value")),
    ({"code": "Client error", "error": "Bad."}, ("Bad.", "invalid_request_error", None, "Client error")),
    ({"detail": "Bad."}, ("Bad.", "invalid_request_error", None, "invalid_value")),
    (
        {"detail": [{"loc": ["body", "tools", 0], "msg": "Bad."}, {"msg": "Worse."}]},
        ("Bad.; Worse.", "invalid_request_error", "tools.0", "invalid_value"),
    ),
    ({"message": "Bad.", "type": "t", "code": 400}, ("Bad.", "t", None, "invalid_value")),
    (
        {"error": {"code": "content_filter", "message": "Bad.", "target": "messages", "innererror": {}}},
        ("Bad.", "invalid_request_error", "messages", "content_filter"),
    ),
    (
        [{"error": {"code": 400, "message": "Bad.", "status": "INVALID_ARGUMENT"}}],
        ("Bad.", "invalid_request_error", None, "invalid_value"),
    ),
]


@pytest.mark.parametrize(("body", "expected"), ENVELOPES, ids=str)
def test_every_vendors_envelope_is_read(body: Any, expected: tuple[str | None, ...]) -> None:
    named = failure(400, body)
    assert (named.message, named.type, named.param, named.code) == expected


GENERIC = "The upstream answered with status 400 and no message."


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no",
        b"<html>",
        b"null",
        b"[]",
        b"[1]",
        b"\xff\xfe",
        b"[" * 100000,
        b'{"error":{}}',
        b'{"error":7}',
        b'{"detail":[7]}',
        b'{"detail":[{"loc":7}]}',
        b'{"message":["a"]}',
        b'{"n":' + b"1" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_body_without_a_message_gives_a_sentence_of_our_own(body: bytes) -> None:
    assert failure(400, body).message == GENERIC


def test_message_is_one_valid_line_of_bounded_length() -> None:
    named = failure(400, b'{"error":{"message":"a\\u0000b\\r\\nc\\u001b[31m \\ud83d ' + b"x" * 5000 + b'"}}')
    assert named.message.startswith("ab c[31m ? xxx")
    assert len(named.message) == 2000


def test_message_about_our_own_key_is_not_passed_on() -> None:
    named = failure(401, {"error": {"message": "Incorrect API key provided: sk-ups"}})
    assert "sk-ups" not in named.message
    assert "API key (401)" in named.message


@pytest.mark.parametrize("status", [429, 503])
def test_told_to_wait_leaves_the_retry_to_the_client(status: int) -> None:
    named = failure(status, Retry_After="3")
    assert (named.retry_after, named.retryable) == (3, None)


def test_retry_after_of_any_other_status_is_dropped() -> None:
    assert [failure(status, Retry_After="3").retry_after for status in (400, 408, 500, 502, 504)] == [None] * 5


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ("2", 2),
        (" 1.5 ", 1.5),
        ("0", 0),
        ("1e9", 120),
        ("121", 120),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 120),
        ("Fri, 99 Foo 2015 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_capped(stated: str, seconds: float | None) -> None:
    assert seconds_to_wait(CIMultiDict({"Retry-After": stated})) == seconds


def test_date_in_the_near_future_is_the_time_until_then() -> None:
    moment = datetime.now(UTC) + timedelta(seconds=60)
    waited = seconds_to_wait(CIMultiDict({"Retry-After": format_datetime(moment, usegmt=True)}))
    assert waited is not None
    assert 55 < waited <= 60


def test_milliseconds_come_before_seconds() -> None:
    assert seconds_to_wait(CIMultiDict({"Retry-After-Ms": "250", "Retry-After": "9"})) == 0.25


@given(st.text())
def test_no_retry_after_breaks_the_reading(stated: str) -> None:
    waited = seconds_to_wait(CIMultiDict({"Retry-After": stated}))
    assert waited is None or 0 <= waited <= 120


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"error":{"message":"x"}}', 502),
        (b'{"error":"x"}', 502),
        (b'{"error":{"code":429}}', 429),
        (b'{"error":{"code":"429"}}', 502),
        (b'{"error":{"status":503}}', 503),
        (b'{"error":{"code":200}}', 502),
        (b'{"code":404,"error":"x"}', 404),
        (b'{"error":{"code":true}}', 502),
    ],
)
def test_error_in_a_200_has_the_status_it_names_or_502(body: bytes, status: int) -> None:
    named = failure_in_answer(body)
    assert named is not None
    assert (named.status, named.answer) == (status, body)


def test_complaint_about_our_own_key_is_not_kept() -> None:
    named = failure_in_answer(b'{"error":{"code":401,"message":"Incorrect API key provided: sk-ab***yz"}}')
    assert named is not None
    assert (named.status, named.answer) == (502, b"")
    assert "sk-ab" not in named.message


@pytest.mark.parametrize(
    "body", [b"{}", b'{"error":null}', b'{"choices":[{"message":{"content":"\\"error\\""}}]}', b'"error"', b'{"error"']
)
def test_answer_without_an_error_is_no_failure(body: bytes) -> None:
    assert failure_in_answer(body) is None
