"""The sample conversations: the examples of the documents that Daehwa implements.

Azure AI Model Inference 2024-05-01-preview (the Riemann conversation, the audio one, the tool call), the
Chinese description of the completion and chunk objects (the streamed greeting), and the two Korean lookup
pages (a deferred and a stored record with every field that they document).
"""

import base64
import io
import math
import struct
import wave
from dataclasses import dataclass, field
from typing import Any, Literal

RIEMANN = (
    "The Riemann Conjecture is a deep mathematical conjecture around prime numbers and how they can be predicted. "
    "It was first published in Riemann's groundbreaking 1859 paper. The conjecture states that the Riemann zeta "
    "function has its zeros only at the negative even integers and complex numbers with real part 1/21. Many consider "
    "it to be the most important unsolved problem in pure mathematics. The Riemann hypothesis is a way to predict the "
    "probability that numbers in a certain range are prime that was also devised by German mathematician Bernhard "
    "Riemann in 18594"
)


@dataclass(frozen=True)
class Sample:
    """One conversation as it could have come in: what was asked, and what came back (whole, or as chunks)."""

    surface: Literal["openai", "azure"]
    mode: Literal["plain", "stream", "deferred"]
    request: dict[str, Any]
    completion: dict[str, Any] = field(default_factory=dict)
    chunks: list[dict[str, Any]] = field(default_factory=list)


def _tone() -> str:
    """A quarter of a second of a quiet tone, as a WAV file in base64: something that a player can play."""
    rate = 8_000
    samples = (int(6_000 * math.sin(2 * math.pi * 440 * n / rate)) for n in range(rate // 4))
    recording = io.BytesIO()
    with wave.open(recording, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(rate)
        wav.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return base64.b64encode(recording.getvalue()).decode()


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {
        "id": "chatcmpl-123",
        "object": "chat.completion.chunk",
        "created": 1694268190,
        "model": "gpt-3.5-turbo-0613",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def sample_conversations() -> list[Sample]:
    """All of them, the oldest first."""
    return [_riemann(), _audio(), _tool_call(), _greeting(), _stored(), _deferred()]


def _riemann() -> Sample:
    return Sample(
        "azure",
        "plain",
        {"messages": [{"role": "user", "content": "Explain Riemann's conjecture"}]},
        {
            "id": "kgousajxgzyhugvqekuswuqbk",
            "object": "chat.completion",
            "created": 1234567890,
            "model": "my-model-name",
            "usage": {"prompt_tokens": 205, "completion_tokens": 5, "total_tokens": 210},
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": RIEMANN}}],
        },
    )


def _audio() -> Sample:
    spoken = {"type": "input_audio", "input_audio": {"data": _tone(), "format": "wav"}}
    return Sample(
        "azure",
        "plain",
        {
            "modalities": ["text", "audio"],
            "messages": [
                {"role": "system", "content": "You are a helpful assistant"},
                {"role": "user", "content": [spoken]},
                {"role": "assistant", "content": None, "audio": {"id": "abcdef1234"}},
                {"role": "user", "content": [spoken]},
            ],
            "frequency_penalty": 0,
            "presence_penalty": 0,
            "temperature": 0,
            "top_p": 0,
            "seed": 21,
            "model": "my-model-name",
        },
        {
            "id": "kgousajxgzyhugvqekuswuqbk-audio",
            "object": "chat.completion",
            "created": 1696522361,
            "model": "my-model-name",
            "usage": {
                "completion_tokens": 19,
                "prompt_tokens": 28,
                "total_tokens": 16,
                "completion_tokens_details": {"audio_tokens": 5, "total_tokens": 5},
                "prompt_tokens_details": {"audio_tokens": 10, "cached_tokens": 0},
            },
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": None,
                        "audio": {
                            "id": "abcdef1234",
                            "format": "wav",
                            "data": _tone(),
                            "expires_at": 1896522361,
                            "transcript": "This is a sample transcript",
                        },
                    },
                }
            ],
        },
    )


def _tool_call() -> Sample:
    return Sample(
        "azure",
        "stream",
        {
            "modalities": ["text"],
            "messages": [
                {"role": "system", "content": "You are a helpful assistant"},
                {"role": "user", "content": "Explain Riemann's conjecture"},
                {"role": "assistant", "content": RIEMANN + "."},
                {"role": "user", "content": "Ist it proved?"},
            ],
            "frequency_penalty": 0,
            "stream": True,
            "presence_penalty": 0,
            "temperature": 0,
            "top_p": 0,
            "max_tokens": 255,
            "response_format": {"type": "text"},
            "stop": ["<|endoftext|>"],
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "my-function-name",
                        "description": "A function useful to know if a theroem is proved or not",
                    },
                }
            ],
            "seed": 21,
            "model": "my-model-name",
        },
        {
            "id": "kgousajxgzyhugvqekuswuqbk-tool",
            "object": "chat.completion",
            "created": 18,
            "model": "my-model-name",
            "usage": {"completion_tokens": 19, "prompt_tokens": 28, "total_tokens": 16},
            "choices": [
                {
                    "index": 7,
                    "finish_reason": "stop",
                    "message": {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {
                                "id": "yrobmilsrugmbwukmzo",
                                "type": "function",
                                "function": {
                                    "name": "my-function-name",
                                    "arguments": '{ "arg1": "value1", "arg2": "value2" }',
                                },
                            }
                        ],
                    },
                }
            ],
        },
    )


def _greeting() -> Sample:
    words = ["Hello", "!", " How", " can", " I", " assist", " you", " today", "?"]
    return Sample(
        "openai",
        "stream",
        {
            "model": "gpt-3.5-turbo-0613",
            "stream": True,
            "store": True,
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "Hello!"},
            ],
        },
        chunks=[
            _chunk({"role": "assistant", "content": ""}),
            *[_chunk({"content": word}) for word in words],
            _chunk({}, "stop"),
        ],
    )


def _stored() -> Sample:
    weather = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "도시의 현재 날씨",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    return Sample(
        "openai",
        "plain",
        {
            "model": "gpt-4o-2024-08-06",
            "store": True,
            "metadata": {"team": "support", "language": "ko"},
            "user": "user-1042",
            "seed": 4944116822809979520,
            "temperature": 1.0,
            "top_p": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "tools": [weather],
            "tool_choice": "auto",
            "response_format": {"type": "text"},
            "messages": [
                {"role": "system", "content": "주문 조회를 돕는 상담원입니다. 짧고 정중하게 답합니다."},
                {"role": "user", "content": "저장된 대화는 어떻게 다시 찾나요?"},
            ],
        },
        {
            "id": "chatcmpl-B0sampleStored0000000000000",
            "object": "chat.completion",
            "created": 1738960610,
            "model": "gpt-4o-2024-08-06",
            "system_fingerprint": "fp_50cad350e4",
            "service_tier": "default",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": "응답 ID를 **저장된 대화 조회**에 붙여 넣으시면 됩니다.\n\n"
                        "1. 응답의 `id` 값을 복사합니다.\n2. 조회 화면에 붙여 넣습니다.\n3. 대화와 토큰 사용량을 확인합니다.",
                        "refusal": None,
                    },
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 46,
                "completion_tokens": 58,
                "total_tokens": 104,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            },
        },
    )


def _deferred() -> Sample:
    return Sample(
        "openai",
        "deferred",
        {
            "model": "grok-4",
            "deferred": True,
            "messages": [
                {"role": "system", "content": "당신은 수학을 쉽게 설명하는 선생님입니다."},
                {"role": "user", "content": "리만 가설을 세 문장으로 설명해 주세요."},
            ],
        },
        {
            "id": "335b92e4-afa5-48e7-b99c-b9a4eabc1c8e",
            "object": "chat.completion",
            "created": 1743770624,
            "model": "grok-4",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": "리만 가설은 소수가 수직선 위에 어떻게 흩어져 있는지를 말해 주는 추측입니다. "
                        "리만 제타 함수의 자명하지 않은 영점은 모두 실수부가 1/2인 직선 위에 있다고 합니다. "
                        "1859년에 제기되었고 아직 증명되지 않았습니다.",
                        "refusal": None,
                    },
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 126,
                "completion_tokens": 97,
                "total_tokens": 223,
                "prompt_tokens_details": {
                    "text_tokens": 126,
                    "audio_tokens": 0,
                    "image_tokens": 0,
                    "cached_tokens": 64,
                },
            },
            "system_fingerprint": "fp_156d35dcaa",
        },
    )
