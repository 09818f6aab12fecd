"""A finished completion as the stream of events that it would have been."""

from collections.abc import Iterator, Mapping
from typing import Any

from conversations.wire.chunks import unfolding
from conversations.wire.json_door import encode, parse_answer
from conversations.wire.sse import DONE, event


def replayed_chunks(answer: bytes, *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """The chunks of a completion's exact bytes; ``ValueError``, at once, when they hold no choice.

    With ``include_usage`` each has a null ``usage``, and one more after the others has the completion's own.
    """
    completion = parse_answer(answer).members
    choices = completion.get("choices")
    well_formed = [
        _well_formed(choice, position)
        for position, choice in enumerate(choices if isinstance(choices, list) else ())
        if isinstance(choice, dict) and isinstance(choice.get("message"), dict)
    ]
    if not well_formed:
        raise ValueError("no choice to replay")
    return unfolding({**completion, "choices": well_formed}, include_usage=include_usage)


def replayed_events(answer: bytes, *, include_usage: bool) -> Iterator[bytes]:
    """The same as server-sent events, ``[DONE]`` at the end. ``ValueError`` comes at once, not from the iterator."""
    chunks = replayed_chunks(answer, include_usage=include_usage)
    return _events(chunks)


def _events(chunks: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    for chunk in chunks:
        yield event(encode(chunk))
    yield DONE


def _well_formed(choice: Mapping[str, Any], position: int) -> dict[str, Any]:
    """A choice with what a stream cannot do without: an index, and log probabilities that can be cut."""
    index, logprobs = choice.get("index"), choice.get("logprobs")
    can_be_cut = isinstance(logprobs, dict) and all(
        entries is None or isinstance(entries, list) for entries in logprobs.values()
    )
    return {
        **choice,
        "index": index if isinstance(index, int) and not isinstance(index, bool) else position,
        "logprobs": logprobs if can_be_cut else None,
    }
