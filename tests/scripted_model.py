"""What the scripted upstream says: pure functions from a request and its directive to a completion and its chunks."""

import base64
import itertools
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

DEFAULT_MODEL = "scripted"


def read_directive(request: Json) -> Json:
    """The directive in the last user message (``@@`` and a JSON object), or one that repeats its text."""
    text = _last_user_text(request)
    if text.startswith("@@"):
        directive: Json = json.loads(text[2:])
        return directive
    return {"content": f"You said: {text}"}


def completion_of(request: Json, directive: Json) -> Json:
    """The whole ``chat.completion``."""
    choices = [
        {
            "index": index,
            "message": _message(request, directive),
            "logprobs": _logprobs(_pieces(request, directive)) if _wants_logprobs(request, directive) else None,
            "finish_reason": _finish_reason(directive),
            **directive.get("choice_extra", {}),
        }
        for index in range(request.get("n") or 1)
    ]
    head = _head(request, directive)
    completion = {**head, "object": "chat.completion", "choices": choices, "usage": _usage(request, directive)}
    if completion["usage"] is None:
        del completion["usage"]
    return {**completion, **directive.get("top_extra", {})}


def chunks_of(request: Json, directive: Json) -> list[Json]:
    """The same answer as ``chat.completion.chunk`` objects; several choices take turns, index 0 first."""
    head = {**_head(request, directive), "object": "chat.completion.chunk"}
    wants_usage = bool((request.get("stream_options") or {}).get("include_usage"))
    usage = _usage(request, directive)
    if wants_usage and usage is not None:
        head["usage"] = None
    turns = itertools.zip_longest(*(_choice_chunks(i, request, directive) for i in range(request.get("n") or 1)))
    chunks = [{**head, "choices": [choice]} for turn in turns for choice in turn if choice is not None]
    chunks[-1].update(directive.get("top_extra", {}))
    if usage is not None and (wants_usage or directive.get("usage_always")):
        chunks.append({**head, "choices": [], "usage": usage})
    return chunks


def endless_chunk(request: Json, directive: Json) -> Json:
    """A chunk that an endless stream repeats."""
    choice = {"index": 0, "delta": {"content": "again "}, "logprobs": None, "finish_reason": None}
    return {**_head(request, directive), "object": "chat.completion.chunk", "choices": [choice]}


def _last_user_text(request: Json) -> str:
    for message in reversed(request.get("messages") or []):
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                texts = [part.get("text", "") for part in content if isinstance(part, dict)]
                return "".join(text for text in texts if isinstance(text, str))
            return content if isinstance(content, str) else ""
    return ""


def _head(request: Json, directive: Json) -> Json:
    # One head for all chunks of an answer: whatever is made up here is remembered in the directive.
    return {
        "id": directive.setdefault("id", f"chatcmpl-{uuid.uuid4().hex}"),
        "created": directive.setdefault("created", int(time.time())),
        "model": directive.get("model") or request.get("model") or DEFAULT_MODEL,
        "system_fingerprint": "fp_scripted",
    }


def _pieces(request: Json, directive: Json) -> list[str]:
    if directive.get("echo_keys"):
        return [json.dumps(sorted(request))]
    if "pieces" in directive:
        return list(directive["pieces"])
    silent = any(key in directive for key in ("tool_calls", "refusal", "audio"))
    content = directive.get("content", None if silent else "ok")
    return [content[i : i + 4] for i in range(0, len(content), 4)] if content else []


def _content(request: Json, directive: Json) -> str | None:
    if directive.get("content") == "":
        return ""
    return "".join(_pieces(request, directive)) or None


def _message(request: Json, directive: Json) -> Json:
    message: Json = {
        "role": "assistant",
        "content": _content(request, directive),
        "refusal": directive.get("refusal"),
    }
    if "reasoning_content" in directive:
        message["reasoning_content"] = directive["reasoning_content"]
    if "tool_calls" in directive:
        message["tool_calls"] = [_tool_call(call, call["arguments"]) for call in directive["tool_calls"]]
    if "audio" in directive:
        message["audio"] = directive["audio"]
    return {**message, **directive.get("message_extra", {})}


def _tool_call(call: Json, arguments: str) -> Json:
    return {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": arguments}}


def _choice_chunks(index: int, request: Json, directive: Json) -> list[Json]:
    choices: list[Json] = [
        {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}
        for delta, logprobs in _deltas(request, directive)
    ]
    choices[-1].update({"finish_reason": _finish_reason(directive), **directive.get("choice_extra", {})})
    return choices


def _deltas(request: Json, directive: Json) -> Iterator[tuple[Json, Json | None]]:
    pieces = _pieces(request, directive)
    content = None if _content(request, directive) is None else ""
    yield {"role": "assistant", "content": content, "refusal": None, **directive.get("message_extra", {})}, None
    for piece in _cut(directive.get("reasoning_content", ""), 4):
        yield {"reasoning_content": piece}, None
    for piece in pieces:
        yield {"content": piece}, _logprobs([piece]) if _wants_logprobs(request, directive) else None
    for piece in _cut(directive.get("refusal") or "", 3):
        yield {"refusal": piece}, None
    for number, call in enumerate(directive.get("tool_calls", [])):
        yield {"tool_calls": [{"index": number, **_tool_call(call, "")}]}, None
        for piece in _cut(call["arguments"], 5):
            yield {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}, None
    if "audio" in directive:
        yield from ((delta, None) for delta in _audio_deltas(directive["audio"]))
    yield {}, None


def _audio_deltas(audio: Json) -> Iterator[Json]:
    sound = base64.b64decode(audio["data"])
    yield {"audio": {"id": audio["id"], "transcript": audio["transcript"]}}
    for start in range(0, len(sound), 3):
        yield {"audio": {"data": base64.b64encode(sound[start : start + 3]).decode()}}
    yield {"audio": {"expires_at": audio["expires_at"]}}


def _cut(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def _finish_reason(directive: Json) -> str | None:
    default = "tool_calls" if directive.get("tool_calls") else "stop"
    reason: str | None = directive.get("finish_reason", default)
    return reason


def _wants_logprobs(request: Json, directive: Json) -> bool:
    return bool(request.get("logprobs") or directive.get("logprobs"))


def _logprobs(tokens: list[str]) -> Json:
    content = [{"token": t, "logprob": -0.5, "bytes": list(t.encode()), "top_logprobs": []} for t in tokens]
    return {"content": content, "refusal": None}


def _usage(request: Json, directive: Json) -> Json | None:
    if "usage" in directive:
        stated: Json | None = directive["usage"]
        return stated
    prompt = len(json.dumps(request.get("messages"))) // 4
    completion = max(1, len(_pieces(request, directive))) * (request.get("n") or 1)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "text_tokens": prompt, "audio_tokens": 0, "image_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
