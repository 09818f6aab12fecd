"""OpenAI's client sends chats: plain and streamed."""

from openai import OpenAI


def test_a_plain_call_is_answered_and_carries_its_request_id(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="scripted", messages=[{"role": "user", "content": "안녕하세요"}])
    assert completion.choices[0].message.content == "You said: 안녕하세요"
    assert completion._request_id is not None
    assert completion._request_id.startswith("req_")
