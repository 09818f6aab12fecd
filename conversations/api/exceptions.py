"""Turns whatever a view raises into an answer in its surface's dialect."""

import logging
import traceback
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse, UnreadablePostError
from psycopg_pool import PoolTimeout
from rest_framework import exceptions, status

from conversations.errors import (
    BadRequestError,
    DaehwaError,
    ForbiddenError,
    InternalError,
    InvalidKeyError,
    MethodNotAllowedError,
    NotFoundError,
    RateLimitError,
    RequestTooLargeError,
    StorageUnavailableError,
    UnsupportedMediaTypeError,
)
from conversations.wire.dialects import OPENAI, Dialect

logger = logging.getLogger(__name__)

_BY_STATUS: dict[int, type[DaehwaError]] = {
    status.HTTP_401_UNAUTHORIZED: InvalidKeyError,
    status.HTTP_404_NOT_FOUND: NotFoundError,
    status.HTTP_415_UNSUPPORTED_MEDIA_TYPE: UnsupportedMediaTypeError,
}


def answer_in_dialect(exc: Exception, context: dict[str, Any]) -> HttpResponse:
    """DRF's exception handler: every error as JSON in the view's dialect, and none with details of our own."""
    dialect: Dialect = getattr(context.get("view"), "dialect", OPENAI)
    error = translate(exc)
    headers = dialect.error_headers(error)
    return HttpResponse(
        dialect.error_body(error), status=error.status, content_type="application/json", headers=headers
    )


def translate(exc: Exception) -> DaehwaError:
    """The error of ours that stands for an exception; an unknown one is logged, without what it says."""
    match exc:
        case DaehwaError():
            return exc
        case exceptions.APIException():
            return _translate_drf(exc)
        case Http404():
            return NotFoundError()
        case PermissionDenied():
            return ForbiddenError()
        case RequestDataTooBig():
            return RequestTooLargeError(f"The request body is larger than {settings.MAX_REQUEST_BYTES} bytes.")
        case SuspiciousOperation() | UnreadablePostError():
            return BadRequestError()
        case OperationalError() | InterfaceError() | PoolTimeout():
            logger.error("The database cannot be used: %s", type(exc).__name__)
            return StorageUnavailableError()
    # The exception's own text may quote a row, and with it a prompt.
    frames = "".join(traceback.format_tb(exc.__traceback__))
    logger.error("A view raised %s\n%s", type(exc).__qualname__, frames)
    return InternalError()


def _translate_drf(exc: exceptions.APIException) -> DaehwaError:
    match exc:
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return InvalidKeyError()
        case exceptions.MethodNotAllowed():
            return MethodNotAllowedError()
        case exceptions.PermissionDenied():
            return ForbiddenError(str(exc.detail))
        case exceptions.Throttled():
            return RateLimitError(retry_after=getattr(exc, "wait", None))
        case _:
            return _BY_STATUS.get(exc.status_code, BadRequestError)()
