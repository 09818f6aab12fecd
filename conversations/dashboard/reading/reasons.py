"""Why a request ended as it did, in words."""

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

REASONS: Mapping[str, Promise] = {
    "upstream_not_configured": _("No upstream was configured: nobody had said where the model is."),
    "upstream_unreachable": _("The upstream could not be reached, so nothing ran there."),
    "upstream_timeout": _("The upstream took longer than a deadline allows."),
    "upstream_error_status": _("The upstream answered with an error of its own."),
    "upstream_error": _("The upstream failed before its answer was complete."),
    "malformed_answer": _("The upstream sent something that is not a completion."),
    "answer_too_large": _("The upstream sent more than is accepted."),
    "stream_cut": _("The upstream's stream ended before the answer was complete."),
    "rate_limit_exceeded": _("The upstream had too many requests."),
    "backend_unavailable": _("The database could not be reached."),
    "internal_error": _("Something went wrong on our side."),
    "client_disconnected": _("The client went away before the answer was complete."),
    "gateway_lost": _("The server stopped while it was waiting for the upstream."),
    "worker_lost": _("Every worker that tried was lost before it could finish."),
    "worker_stopped": _("The worker was stopped and handed the request back."),
    "deleted": _("The content was deleted before a worker came to it."),
}


def reason_in_words(reason: str) -> str:
    """The sentence for a reason's word, or the word itself where there is none."""
    return str(REASONS.get(reason, reason))
