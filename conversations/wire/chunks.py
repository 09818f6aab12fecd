"""Chat completion chunks: folded into the completion that they spell, relayed, and unfolded from a completion."""

from collections.abc import Collection, Iterator, Mapping
from itertools import zip_longest
from operator import itemgetter
from typing import Any

from conversations.wire.calls import ChatCall
from conversations.wire.deltas import grow, is_index, settled
from conversations.wire.json_door import JsonObject, parse_answer
from conversations.wire.openai import missing_members
from conversations.wire.pieces import cut_message
from conversations.wire.reading import response_id_of

CHUNK = "chat.completion.chunk"

_FIRST_HOLDS = frozenset({"id", "created", "model"})
_OWN_CHOICE_KEYS = frozenset({"index", "delta", "finish_reason", "logprobs"})


class Fold:
    """Adds up the chunks of a stream; see ``completion``.

    ``error`` is what an upstream put under the key ``error`` of a chunk (None if it did not); it ends the fold.
    The time to add a chunk does not depend on how many came before.
    """

    def __init__(self) -> None:
        self.error: Any = None
        self._top: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Take the next chunk, in the order of arrival. Never raises; what is no chunk changes nothing."""
        if self.error is not None:
            return
        if chunk.get("error") is not None:
            self.error = chunk["error"]
            return
        try:
            self._add_top(chunk)
            choices = chunk.get("choices")
            for choice in choices if isinstance(choices, list) else []:
                if isinstance(choice, dict):
                    self._add_choice(choice)
        except RecursionError:
            self.error = {"message": "The upstream sent chunks that are nested too deeply to be added up."}

    def _add_top(self, chunk: Mapping[str, Any]) -> None:
        for key, value in chunk.items():
            if key in {"choices", "object", "obfuscation", "error"}:
                continue
            # Azure OpenAI opens its streams with a chunk whose ID, model and time are empty.
            holds = key in _FIRST_HOLDS and self._top.get(key)
            if value is None or holds:
                self._top.setdefault(key, value)
            else:
                self._top[key] = value

    def _add_choice(self, choice: Mapping[str, Any]) -> None:
        index = choice.get("index")
        known = self._choices.setdefault(index if isinstance(index, int) and is_index(index) else 0, {"delta": {}})
        for key, value in choice.items():
            if key == "delta":
                grow(known["delta"], value if isinstance(value, dict) else {})
            elif key == "logprobs" and isinstance(value, dict):
                known[key] = _joined_logprobs(known.get(key), value)
            elif value is None:
                known.setdefault(key, None)
            elif isinstance(value, dict) and isinstance(known.get(key), dict):
                known[key] = known[key] | value
            elif key != "index":
                known[key] = value

    def completion(self) -> dict[str, Any] | None:
        """The completion, or None while there is no choice or one without a finish reason (or after an error)."""
        finished = all(choice.get("finish_reason") is not None for choice in self._choices.values())
        return self.so_far() if self.error is None and self._choices and finished else None

    def so_far(self) -> dict[str, Any]:
        """What the chunks add up to until now, in the shape of a completion, finished or not."""
        top = {key: value for key, value in self._top.items() if key != "usage"}
        opening = {key: top.pop(key) for key in ("id", "created", "model") if key in top}
        choices = [_settled_choice(index, self._choices[index]) for index in sorted(self._choices)]
        usage = {} if self._top.get("usage") is None else {"usage": self._top["usage"]}
        return opening | {"object": "chat.completion"} | top | {"choices": choices} | usage


def _joined_logprobs(known: Any, value: Mapping[str, Any]) -> dict[str, Any]:
    """Token lists are extended in place: the known ones are the fold's own copies."""
    joined: dict[str, Any] = known if isinstance(known, dict) else {}
    for key, entries in value.items():
        if entries is None:
            joined.setdefault(key, None)
        elif isinstance(entries, list):
            present = joined.get(key)
            if isinstance(present, list):
                present.extend(entries)
            else:
                joined[key] = list(entries)
        else:
            joined[key] = entries
    return joined


def _settled_choice(index: int, choice: Mapping[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    grown = settled(choice["delta"])
    message |= {key: value for key, value in grown.items() if value is not None or key not in message}
    rest = {key: value for key, value in choice.items() if key not in {"index", "delta", "message"}}
    return {"index": index, "message": message} | rest


def unfold(completion: Mapping[str, Any], *, include_usage: bool) -> list[dict[str, Any]]:
    """The chunks that a completion would have been streamed as, all at once: see ``unfolding``."""
    return list(unfolding(completion, include_usage=include_usage))


def unfolding(completion: Mapping[str, Any], *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """The chunks that a completion would have been streamed as, one by one: there may be as many as characters.

    Choices take turns, the lowest index first; keys of the completion that OpenAI does not have come with the
    last chunk of its last choice. With ``include_usage`` every chunk has a null ``usage`` and one more, without
    choices, has the completion's own.
    """
    shared = ("id", "created", "model", "system_fingerprint", "service_tier")
    base: dict[str, Any] = {key: completion[key] for key in shared if key in completion}
    base = {"object": CHUNK, "system_fingerprint": None} | base
    asked: dict[str, Any] = {"usage": None} if include_usage else {}
    rest = {key: value for key, value in completion.items() if key not in {*base, "choices", "usage", "object"}}
    choices = sorted(completion["choices"], key=itemgetter("index"))
    turns = zip_longest(*map(_unfold_choice, choices))
    pieces = (choice for turn in turns for choice in turn if choice is not None)
    chunk: dict[str, Any] | None = None
    for choice in pieces:
        if chunk is not None:
            yield chunk
        chunk = base | {"choices": [choice]} | asked
    if chunk is not None:
        yield chunk | rest
    if include_usage and completion.get("usage") is not None:
        yield base | {"choices": [], "usage": completion["usage"]}


def _unfold_choice(choice: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for delta, logprobs in cut_message(choice["message"], choice.get("logprobs")):
        yield {"index": choice["index"], "delta": delta, "finish_reason": None, "logprobs": logprobs}
    rest = {key: value for key, value in choice.items() if key not in _OWN_CHOICE_KEYS | {"message"}}
    yield {"index": choice["index"], "delta": {}, "finish_reason": choice.get("finish_reason"), "logprobs": None} | rest


class StreamRewriter:
    """Turns an upstream's chunks into what the client gets: the same bytes where nothing is missing or too much.

    ``response_id`` is the ID of the whole stream: the upstream's own from the first chunk that has one, else
    ``fallback_id`` from the first chunk that holds a choice. Until then it is None, and chunks are held back.
    ``created`` (Unix seconds) and ``model`` fill chunks that lack them.
    """

    def __init__(self, *, fallback_id: str, created: int, model: str, include_usage: bool) -> None:
        self.response_id: str | None = None
        self._fallback_id = fallback_id
        self._created = created
        self._model = model
        self._include_usage = include_usage
        self._held: list[JsonObject] = []

    def rewrite(self, chunk: JsonObject) -> list[bytes]:
        """What to relay for one chunk, each on one line; nothing for usage that the client did not ask for.

        Azure OpenAI opens its streams with a chunk that has no ID yet: it goes out with the next one.
        """
        if self.response_id is None:
            has_choices = bool(chunk.members.get("choices"))
            self.response_id = response_id_of(chunk.members) or (self._fallback_id if has_choices else None)
        if self.response_id is None:
            self._held.append(chunk)
            return []
        ready, self._held = [*self._held, chunk], []
        return [line for line in (self._line(each, self.response_id) for each in ready) if line is not None]

    def _line(self, chunk: JsonObject, response_id: str) -> bytes | None:
        drop: tuple[str, ...] = ()
        if not self._include_usage and "usage" in chunk.members:
            if chunk.members["usage"] is not None and not chunk.members.get("choices"):
                return None
            drop = ("usage",)
        put = missing_members(chunk, kind=CHUNK, response_id=response_id, created=self._created, model=self._model)
        return chunk.edited(drop=drop, put=put).replace(b"\r", b" ").replace(b"\n", b" ")


def with_usage_asked(call: ChatCall, *, dropped: Collection[str] = ()) -> bytes:
    """The body for the upstream of a stream: less ``dropped``, and with ``stream_options.include_usage`` true."""
    options = call.body.members.get("stream_options")
    put: dict[str, bytes] = {}
    if not isinstance(options, dict):
        put["stream_options"] = b'{"include_usage":true}'
    elif options.get("include_usage") is not True:
        raw = parse_answer(call.body.raw("stream_options") or b"{}")
        put["stream_options"] = raw.with_members({"include_usage": b"true"})
    return call.body.edited(drop=dropped, put=put)
