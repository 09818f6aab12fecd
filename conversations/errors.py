"""Everything that Daehwa refuses or fails at, as one tree.

::

    DaehwaError
    ├── BadRequestError                 400  the request is wrong
    │   ├── MalformedBodyError          400  not a JSON object that can be kept
    │   ├── SearchTooBroadError         400  looking would take too long
    │   ├── ApiVersionError             400  Azure's api-version is missing or unknown
    │   └── ExtraParameterError         400  a root key that Azure does not know
    ├── InvalidKeyError                 401  no API key, or a wrong one
    ├── ForbiddenError                  403  the key may not do this
    ├── NotFoundError                   404  no such record (or another project's, or deleted)
    │   └── DeferredNotFoundError       404  no such deferred completion, or already fetched
    ├── MethodNotAllowedError           405  the route exists, the method does not
    ├── ConflictError                   409  something else is in the way
    ├── RequestTooLargeError            413  more bytes than are accepted
    ├── UnsupportedMediaTypeError       415  not JSON
    ├── UnsupportedParameterError       422  valid, but the model cannot
    ├── RateLimitError                  429  too many requests
    ├── InternalError                   500  a fault of our own
    │   └── ContentDeletedError         500  deleted before it ran
    ├── StorageUnavailableError         503  the database cannot be reached
    └── UpstreamError                   502  the model's server failed
        ├── UpstreamNotConfiguredError  503  nobody said where the model is
        ├── UpstreamUnavailableError    503  it could not be reached, so nothing ran
        ├── UpstreamTimeoutError        504  it took too long
        ├── MalformedAnswerError        502  what it sent is no completion
        ├── AnswerTooLargeError         502  it sent more than is kept
        ├── StreamCutError              502  its stream ended too early
        ├── ServerStoppedError          500  we stopped while it was at work
        ├── WorkerLostError             500  every worker that ran it was lost
        └── UpstreamStatusError         any  it answered with an error of its own

Each class knows its status, type, code and whether trying again can help. How an error is written
down is the business of a surface (``wire.openai``, ``wire.azure``).
"""

import traceback
from pathlib import Path
from typing import ClassVar


def describe_fault(error: BaseException) -> str:
    """An unexpected exception for the log: its kind and where it was raised, without its text, which may quote a prompt."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


class DaehwaError(Exception):
    """The root: ``status`` is an HTTP status, ``type`` and ``code`` are OpenAI's words for the error.

    ``retryable`` is True when the same call may succeed later and cannot have had an effect, False when
    it may have had one (clients get ``x-should-retry: false``), and None when the status says enough.
    ``retry_after`` is in seconds, or None.
    """

    status: int = 500
    type: str = "server_error"
    code: str = "internal_error"
    retryable: bool | None = None
    default_message: ClassVar[str] = "Something went wrong on our side."

    def __init__(
        self,
        message: str | None = None,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.message = message or self.default_message
        self.param = param
        self.retry_after = retry_after
        if code is not None:
            self.code = code
        super().__init__(self.message)


class BadRequestError(DaehwaError):
    """400: the request is wrong and stays wrong."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_value"
    default_message = "The request is not valid."


class MalformedBodyError(BadRequestError):
    """400: the body is not a JSON object that can be kept and passed on byte for byte."""

    code = "invalid_json"
    default_message = "The request body is not a valid JSON object."


class SearchTooBroadError(BadRequestError):
    """400: a search that was given up, since it would go on for too long."""

    code = "search_too_broad"
    default_message = "This search takes too long. Narrow it to a shorter time, or look for longer or rarer words."


class ApiVersionError(BadRequestError):
    """400: ``api-version`` is missing or not one that is served (Azure only)."""

    code = "MissingApiVersionParameter"
    default_message = "The api-version query parameter (?api-version=) is required for all requests."


class ExtraParameterError(BadRequestError):
    """400: a root key outside Azure's own, or an unknown ``extra-parameters`` header (Azure only)."""

    code = "extra_parameter_not_allowed"


class InvalidKeyError(DaehwaError):
    """401: no API key, or one that is unknown, expired or revoked."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"
    default_message = "Incorrect or missing API key."


class ForbiddenError(DaehwaError):
    """403: the caller is known, and may not do this."""

    status = 403
    type = "invalid_request_error"
    code = "forbidden"
    default_message = "You are not allowed to do this."


class NotFoundError(DaehwaError):
    """404: never seen, deleted, expired or another project's: the answer is the same."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"
    default_message = "Not found."


class DeferredNotFoundError(NotFoundError):
    """404: no such deferred completion, or one that was handed out already where that happens once."""

    code = "deferred_completion_not_found"


class MethodNotAllowedError(DaehwaError):
    """405: the route exists, the method does not."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"
    default_message = "This method is not allowed here."


class ConflictError(DaehwaError):
    """409: the record is in a state that does not allow this."""

    status = 409
    type = "invalid_request_error"
    code = "conflict"


class RequestTooLargeError(DaehwaError):
    """413: the body has more bytes than ``MAX_REQUEST_BYTES``."""

    status = 413
    type = "invalid_request_error"
    code = "request_too_large"
    default_message = "The request body is too large."


class UnsupportedMediaTypeError(DaehwaError):
    """415: the body is not declared as JSON."""

    status = 415
    type = "invalid_request_error"
    code = "unsupported_media_type"
    default_message = "Send the body as application/json."


class UnsupportedParameterError(DaehwaError):
    """422: valid by the rules, but the model cannot do it. ``value`` is what was sent for ``param``."""

    status = 422
    type = "invalid_request_error"
    code = "unsupported_parameter"
    default_message = "One of the parameters contain invalid values."

    def __init__(self, message: str | None = None, *, param: str | None = None, value: object = None) -> None:
        super().__init__(message, param=param)
        self.value = value


class RateLimitError(DaehwaError):
    """429: too many requests; ``retry_after`` says when to come back."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    default_message = "Too many requests."


class InternalError(DaehwaError):
    """500: a fault of our own. The message never holds details."""


class ContentDeletedError(InternalError):
    """500: a deferred request was deleted before a worker came to it."""

    code = "deleted"
    default_message = "The request was deleted before it ran."


class StorageUnavailableError(DaehwaError):
    """503: the database cannot be reached, so nothing was accepted."""

    status = 503
    code = "backend_unavailable"
    retryable = True
    default_message = "The database cannot be reached at the moment."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message, retry_after=1)


class UpstreamError(DaehwaError):
    """502: the model's server failed, and may have done (and billed) work before it did.

    ``reason`` is the word kept with the record; ``answer`` is what the upstream sent, if anything.
    """

    status = 502
    code = "bad_gateway"
    retryable: bool | None = False
    reason: str = "upstream_error"
    default_message = "The upstream failed."

    def __init__(
        self,
        message: str | None = None,
        *,
        answer: bytes = b"",
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, param=param, code=code, retry_after=retry_after)
        self.answer = answer


class UpstreamNotConfiguredError(UpstreamError):
    """503: ``UPSTREAM_BASE_URL`` is not set."""

    status = 503
    code = "upstream_not_configured"
    reason = "upstream_not_configured"
    default_message = "No upstream is configured: set UPSTREAM_BASE_URL to an OpenAI-compatible server, for example https://api.openai.com/v1, and restart."


class UpstreamUnavailableError(UpstreamError):
    """503: no connection to the upstream, so nothing can have run."""

    status = 503
    code = "backend_unavailable"
    reason = "upstream_unreachable"
    retryable = True
    default_message = "The upstream cannot be reached."


class UpstreamTimeoutError(UpstreamError):
    """504: the upstream took longer than a deadline allows."""

    status = 504
    code = "backend_unavailable"
    reason = "upstream_timeout"
    default_message = "The upstream took too long."


class MalformedAnswerError(UpstreamError):
    """502: the upstream answered 200 with something that is no completion."""

    reason = "malformed_answer"
    default_message = "The upstream sent an answer that is not a chat completion."


class AnswerTooLargeError(UpstreamError):
    """502: the answer has more bytes than ``MAX_ANSWER_BYTES``."""

    reason = "answer_too_large"
    default_message = "The upstream sent more than is accepted."


class StreamCutError(UpstreamError):
    """502: the upstream's stream ended before every choice had a finish reason."""

    reason = "stream_cut"
    default_message = "The upstream's stream ended before the answer was complete."


class ServerStoppedError(UpstreamError):
    """500: the server was stopped, and the upstream may go on."""

    status = 500
    code = "internal_error"
    reason = "gateway_lost"
    default_message = "The server stopped before the answer was complete."


class WorkerLostError(UpstreamError):
    """500: every attempt ended with its worker, and the upstream may have run each time."""

    status = 500
    code = "internal_error"
    reason = "worker_lost"
    default_message = "The workers that ran this request were lost, and it is not tried again."


class UpstreamStatusError(UpstreamError):
    """The upstream answered with an error status of its own, passed on with its message, type, param and code."""

    reason = "upstream_error_status"

    def __init__(
        self,
        status: int,
        message: str | None = None,
        *,
        answer: bytes = b"",
        type: str | None = None,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message, answer=answer, param=param, code=code, retry_after=retry_after)
        self.status = status
        self.type = type or ("invalid_request_error" if status < 500 else "server_error")
        self.retryable = retryable
