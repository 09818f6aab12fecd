"""Server-sent events: parsed however they are cut, written as the narrowest client needs them."""

import json
from collections.abc import Iterator

import pytest
from azure.ai.inference.models import StreamingChatCompletions
from hypothesis import given
from hypothesis import strategies as st
from openai._streaming import SSEDecoder

from conversations.errors import AnswerTooLargeError, StreamCutError
from conversations.wire.sse import DONE, DONE_MARK, PING, Event, EventParser, error_event, event, heartbeat_chunk

STREAMS = {
    "LF": (b'data: {"a":1}\n\ndata: [DONE]\n\n', [b'{"a":1}', DONE_MARK]),
    "CRLF": (b'data: {"a":1}\r\n\r\ndata: [DONE]\r\n\r\n', [b'{"a":1}', DONE_MARK]),
    "CR": (b'data: {"a":1}\r\rdata: [DONE]\r\r', [b'{"a":1}', DONE_MARK]),
    "mixed": (b"data: a\r\n\ndata: b\n\r\ndata: c\r\n\r", [b"a", b"b", b"c"]),
    "no space": (b"data:a\n\n", [b"a"]),
    "two spaces": (b"data:  a\n\n", [b" a"]),
    "comments": (b": ping\n\n:\ndata: a\n: in between\n\n", [b"a"]),
    "other fields": (b"id: 7\nretry: 10\ndata: a\nunknown: b\nnothing\n\n", [b"a"]),
    "several lines": (b"data: a\ndata: b\ndata:\n\n", [b"a\nb\n"]),
    "several lines with CRLF": (b"data: a\r\ndata: b\r\n\r\n", [b"a\nb"]),
    "no data": (b"event: x\n\ndata:\n\ndata\n\ndata: a\n\n", [b"a"]),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
    "Unicode separators": (
        "data: a\u2028b\u0085c\x0bd\x0ce\x1cf\n\n".encode(),
        ["a\u2028b\u0085c\x0bd\x0ce\x1cf".encode()],
    ),
    "invalid UTF-8": (b"data: \xff\n\n", [b"\xff"]),
    "no blank line at the end": (b"data: a\n\ndata: [DONE]", [b"a", DONE_MARK]),
    "no blank line, but a line end": (b"data: a\n\ndata: [DONE]\n", [b"a", DONE_MARK]),
}


def parsed(parts: Iterator[bytes] | list[bytes]) -> list[Event]:
    parser = EventParser()
    events = [found for part in parts for found in parser.feed(part)]
    return events + parser.close()


@pytest.mark.parametrize(("stream", "expected"), STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_events_are_found_however_the_stream_is_cut(stream: bytes, expected: list[bytes], size: int) -> None:
    parts = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert [found.data for found in parsed(parts)] == expected


@given(
    st.lists(st.sampled_from([b"data: a", b"data:", b": c", b"event: e", b"\n", b"\r", b"\r\n", b""]), max_size=12),
    st.data(),
)
def test_any_stream_reads_the_same_in_any_cut_and_as_openai_reads_it(words: list[bytes], draws: st.DataObject) -> None:
    stream = b"".join(words) + b"\n\n"
    cuts = sorted(draws.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    parts = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    events = parsed(parts)
    assert events == parsed([stream])
    theirs = [found.data.encode() for found in SSEDecoder().iter_bytes(iter([stream])) if found.data]
    assert [found.data for found in events] == theirs


def test_the_name_of_an_event_is_kept() -> None:
    assert parsed([b"event: error\ndata: {}\n\ndata: a\n\n"]) == [Event(b"{}", "error"), Event(b"a")]


@pytest.mark.parametrize(
    "stream", [b"data: " + b"x" * 100, b": " + b"x" * 100, b"data: xxxxxxxxxxxxxxxx\n" * 5, b"x" * 101]
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_line_or_an_event_that_is_too_long_is_refused(stream: bytes, size: int) -> None:
    parser = EventParser(max_line_bytes=64)
    with pytest.raises(AnswerTooLargeError):
        any(parser.feed(stream[start : start + size]) for start in range(0, len(stream), size))


def test_many_events_may_be_longer_than_one() -> None:
    assert len(EventParser(max_line_bytes=64).feed(b"data: xxxxxxxxxxxxxxxx\n\n" * 50)) == 50


def test_what_is_written_reads_back() -> None:
    stream = PING + event(b'{"a":1}') + DONE
    assert [found.data for found in parsed([stream])] == [b'{"a":1}', DONE_MARK]


class Response:
    """The little of an HTTP response that azure-ai-inference reads a stream from."""

    def __init__(self, stream: bytes) -> None:
        self._stream = stream

    def iter_bytes(self) -> Iterator[bytes]:
        yield self._stream

    def close(self) -> None:
        pass


def test_azure_client_passes_over_heartbeats_and_errors() -> None:
    chunk = b'{"id":"a","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}'
    beat = heartbeat_chunk(response_id="a", created=1, model="m")
    updates = list(StreamingChatCompletions(Response(beat + event(chunk) + error_event(StreamCutError()) + DONE)))  # type: ignore[arg-type]
    assert [update.choices[0].delta.content for update in updates if update.choices] == ["hi"]


def test_an_error_event_has_the_four_keys() -> None:
    (found,) = parsed([error_event(StreamCutError())])
    assert set(json.loads(found.data)["error"]) == {"message", "type", "param", "code"}
