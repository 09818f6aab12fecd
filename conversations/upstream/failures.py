"""The one place where what goes wrong upstream becomes one of ``conversations.errors``.

========================================  ===========================================  =========
what happened                             error                                        retryable
========================================  ===========================================  =========
no connection (refused, DNS, TLS, slow)   ``UpstreamUnavailableError`` 503             yes: nothing ran
silence, or too slow as a whole           ``UpstreamTimeoutError`` 504                 no: it may have run
connection lost once the request was out  ``UpstreamError`` 502, in a stream           no
                                          ``StreamCutError`` 502
not HTTP, or HTML with status 200         ``MalformedAnswerError`` 502                 no
1xx, 2xx other than 200, 3xx              ``UpstreamError`` 502                        no
401, 407                                  ``UpstreamStatusError`` 502: our own key     no
408                                       ``UpstreamStatusError`` 504                  no
any other 4xx                             ``UpstreamStatusError``, the same status     the status says it
500, 502, 503, 504                        ``UpstreamStatusError``, the same status     no, or when told to wait
any other 5xx                             ``UpstreamStatusError`` 502                  no
``error`` in an answer with status 200    as that status if it names one, else 502     as above
========================================  ===========================================  =========
"""

import json
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import aiohttp

from conversations.errors import (
    MalformedAnswerError,
    UpstreamError,
    UpstreamStatusError,
    UpstreamTimeoutError,
    UpstreamUnavailableError,
)

FAULTS = (aiohttp.ClientError, OSError)
"""What ``failure_of_exception`` can name. ``TimeoutError`` is an ``OSError``."""

MAX_RETRY_AFTER = 120.0
"""Longest wait, in seconds, that is passed on: openai-python gives up at once when told to wait longer."""

MAX_MESSAGE_LENGTH = 2_000
MAX_WORD_LENGTH = 200
"""Longest message, and longest type, param or code, in characters, that is passed on."""

_CODES = {
    400: "invalid_value",
    401: "invalid_api_key",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "request_too_large",
    415: "unsupported_media_type",
    422: "unsupported_parameter",
    429: "rate_limit_exceeded",
    500: "internal_error",
    502: "bad_gateway",
    503: "backend_unavailable",
    504: "backend_unavailable",
}


@dataclass(frozen=True, kw_only=True)
class _Report:
    """What an upstream said about its own error; None where it said nothing."""

    message: str | None = None
    type: str | None = None
    param: str | None = None
    code: str | None = None
    status: int | None = None


def failure_of_exception(exc: Exception, *, lost: type[UpstreamError] = UpstreamError) -> UpstreamError:
    """Name one of ``FAULTS``. ``lost`` is the error for a connection that broke after the request was sent.

    The message never holds the exception's own text, which names hosts and addresses of the operator.
    """
    match exc:
        case aiohttp.ConnectionTimeoutError():
            return UpstreamUnavailableError("The upstream did not accept a connection in time.")
        case aiohttp.ClientConnectorDNSError():
            return UpstreamUnavailableError("The upstream's host name cannot be resolved.")
        case aiohttp.ClientSSLError():
            return UpstreamUnavailableError("No trusted TLS connection to the upstream is possible.")
        case aiohttp.ClientConnectorError():
            return UpstreamUnavailableError("The upstream refused the connection or cannot be reached.")
        case TimeoutError():
            return UpstreamTimeoutError()
        case aiohttp.ClientResponseError():
            return MalformedAnswerError("The upstream's answer is not valid HTTP.")
        case _:
            return lost("The connection to the upstream was lost before its answer was complete.")


def failure_of_status(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """Name an HTTP status other than 200. ``headers`` are case-insensitive; ``body`` is what came with it."""
    if status < 400:
        wrong = "a redirect, which is never followed" if 300 <= status < 400 else "no completion"
        return UpstreamError(f"The upstream answered {status}: {wrong}. Check UPSTREAM_BASE_URL.", answer=body)
    return _status_error(status, _read_report(_parse(body)), body, retry_after=seconds_to_wait(headers))


def failure_in_answer(body: bytes) -> UpstreamError | None:
    """The failure that the root key ``error`` of an answer with status 200, or of an event of a stream, reports.

    None when there is no such key, when it is null, or when ``body`` is not JSON.
    """
    # Inside a JSON string the quotes would be escaped, so nearly every good answer is told without parsing it.
    if b'"error"' not in body:
        return None
    document = _parse(body)
    if not isinstance(document, dict) or not document.get("error"):
        return None
    report = _read_report(document)
    return _status_error(report.status or 502, report, body)


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """How long the upstream asks to wait, 0 to ``MAX_RETRY_AFTER`` seconds; None when it does not say it clearly.

    Reads ``retry-after-ms`` (milliseconds, as OpenAI sends) before ``Retry-After`` (seconds or an HTTP date).
    """
    milliseconds = _read_number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return min(milliseconds / 1000, MAX_RETRY_AFTER)
    stated = headers.get("retry-after", "")
    seconds = _read_number(stated)
    if seconds is None:
        seconds = _seconds_until(stated)
    return None if seconds is None else min(seconds, MAX_RETRY_AFTER)


def _status_error(status: int, report: _Report, body: bytes, retry_after: float | None = None) -> UpstreamStatusError:
    if status in {401, 407}:
        # The upstream's own answer often quotes a part of the key, which is the operator's and not the caller's:
        # it is neither passed on nor kept.
        message = f"The upstream refused the gateway's own API key ({status}). Check UPSTREAM_API_KEY."
        return UpstreamStatusError(502, message, code="bad_gateway", retryable=False)
    ours = _status_for_client(status)
    told_to_wait = status in {429, 503} and retry_after is not None
    return UpstreamStatusError(
        ours,
        report.message or f"The upstream answered with status {status} and no message.",
        answer=body,
        type=report.type or ("rate_limit_error" if ours == 429 else None),
        param=report.param,
        code=report.code or _default_code(ours),
        retry_after=retry_after if told_to_wait else None,
        retryable=None if ours < 500 or told_to_wait else False,
    )


def _status_for_client(status: int) -> int:
    if status == 408:
        return 504
    return status if status < 500 or status in _CODES else 502


def _default_code(status: int) -> str:
    if status in _CODES:
        return _CODES[status]
    try:
        return HTTPStatus(status).name.lower()
    except ValueError:
        return _CODES[400]


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _read_report(document: Any) -> _Report:
    """Read OpenAI's, Azure's and xAI's errors, FastAPI's ``detail``, bare ``message``s, and Google's list of one."""
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        return _Report()
    error = document.get("error")
    source: dict[str, Any] = error if isinstance(error, dict) else document
    detail = document.get("detail")
    message = source.get("message") or (error if isinstance(error, str) else None) or _read_detail(detail)
    return _Report(
        message=_clean(message, MAX_MESSAGE_LENGTH),
        type=_clean(source.get("type"), MAX_WORD_LENGTH),
        param=_clean(source.get("param") or source.get("target") or _read_location(detail), MAX_WORD_LENGTH),
        code=_clean(source.get("code"), MAX_WORD_LENGTH),
        status=_read_status(source) or _read_status(document),
    )


def _read_detail(detail: Any) -> str | None:
    if isinstance(detail, str):
        return detail
    if not isinstance(detail, list):
        return None
    messages = [item["msg"] for item in detail if isinstance(item, dict) and isinstance(item.get("msg"), str)]
    return "; ".join(messages) or None


def _read_location(detail: Any) -> str | None:
    first = detail[0] if isinstance(detail, list) and detail else None
    location = first.get("loc") if isinstance(first, dict) else None
    if not isinstance(location, list):
        return None
    return ".".join(str(step) for step in location if step != "body") or None


def _read_status(source: dict[str, Any]) -> int | None:
    for key in ("status", "code"):
        if isinstance(source.get(key), int) and 400 <= source[key] <= 599:
            return int(source[key])
    return None


def _clean(text: object, limit: int) -> str | None:
    """A text that is safe in JSON, in a log and in a column: valid UTF-8, one line, no control characters."""
    if not isinstance(text, str):
        return None
    valid = " ".join(text[: 4 * limit].encode("utf-8", "replace").decode().split())
    return "".join(c for c in valid if unicodedata.category(c) != "Cc")[:limit] or None


def _read_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _seconds_until(http_date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date)
    except (TypeError, ValueError, OverflowError):
        return None
    # A date in "-0000" is read as naive although it means UTC.
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
