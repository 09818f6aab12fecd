"""What xAI's deferred completions add to OpenAI's protocol."""

from conversations.wire.json_door import encode, parse_answer


def accepted_body(request_id: str) -> bytes:
    """The answer to a deferred POST: the request ID to come back with, and nothing else."""
    return encode({"request_id": request_id})


def deferred_completion(*, response_body: bytes, request_id: str) -> bytes:
    """A deferred completion once it is ready: the response's own bytes and its ``request_id``."""
    return parse_answer(response_body).with_members({"request_id": encode(request_id)})
