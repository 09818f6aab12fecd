"""The local model as a process of its own: started, asked, stopped."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

from config import local_model

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "config.local_model", "--port"]
CANARY = "canary-5f1e"

needs_model = pytest.mark.skipif(not local_model.is_installed(), reason="the extra local-model is not installed")


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def model_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shared model's stderr goes."""
    return tmp_path_factory.mktemp("local-model") / "stderr.log"


@pytest.fixture(scope="module")
def model_url(model_log: Path) -> Iterator[str]:
    """One running model for the module; ends it with SIGTERM and expects a clean exit within two seconds."""
    with (
        model_log.open("wb") as log,
        subprocess.Popen(
            [*COMMAND, str(free_port())], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()
        assert process.wait(2) == 0


@pytest.fixture
def client(model_url: str) -> Iterator[openai.OpenAI]:
    """OpenAI's own client, pointed at the model."""
    with openai.OpenAI(base_url=model_url, api_key="none", max_retries=0, timeout=15) as opened:
        yield opened


@needs_model
def test_a_chat_is_answered_with_its_usage(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="smollm2-135m-instruct", messages=[{"role": "user", "content": "Say hello."}], max_tokens=8
    )
    assert answer.model == "smollm2-135m-instruct"
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 8
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@needs_model
def test_a_stream_ends_with_its_usage(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="smollm2-135m-instruct",
        messages=[{"role": "user", "content": "Say hello."}],
        max_tokens=8,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert len(chunks) > 3
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens <= 8


@needs_model
def test_parameters_it_does_not_know_are_passed_over(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="another-model",
        messages=[{"role": "user", "content": "Say hello."}],
        max_completion_tokens=2,
        extra_body={"frobnicate": {"deep": [1]}, "service_tier": "auto"},
    )
    assert answer.choices[0].finish_reason == "length"


@needs_model
def test_more_requests_than_slots_wait_their_turn(client: openai.OpenAI) -> None:
    def ask(_: int) -> str:
        answer = client.chat.completions.create(
            model="smollm2-135m-instruct", messages=[{"role": "user", "content": "Hi"}], max_tokens=4
        )
        return answer.choices[0].finish_reason

    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(ask, range(4 * local_model.SLOTS)))) == 8


@needs_model
def test_a_prompt_longer_than_a_slot_is_refused(client: openai.OpenAI) -> None:
    prompt = "word " * (local_model.SLOT_TOKENS + 1)
    with pytest.raises(openai.BadRequestError, match="context size"):
        client.chat.completions.create(model="smollm2-135m-instruct", messages=[{"role": "user", "content": prompt}])


@needs_model
def test_no_prompt_reaches_the_log(client: openai.OpenAI, model_log: Path) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(
            model="smollm2-135m-instruct",
            messages=[{"role": "user", "content": CANARY}],
            temperature="hot",  # type: ignore[call-overload]
        )
    client.chat.completions.create(
        model="smollm2-135m-instruct", messages=[{"role": "user", "content": CANARY}], max_tokens=2
    )
    assert CANARY not in model_log.read_text()


@needs_model
def test_a_port_in_use_is_one_sentence(model_url: str) -> None:
    port = model_url.removesuffix("/v1").rpartition(":")[2]
    ended = subprocess.run([*COMMAND, port], cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)
    assert ended.returncode == 1
    assert ended.stderr == f"The local model could not start on 127.0.0.1:{port}; is the port in use?\n"


@needs_model
def test_it_ends_with_the_process_that_started_it() -> None:
    port = free_port()
    script = f"import subprocess, time; subprocess.Popen({[*COMMAND, str(port)]!r}); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.05)
    pytest.fail("the model outlived its parent")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_model, "find_spec", lambda _name: None)
    assert not local_model.is_installed()
    with pytest.raises(local_model.LocalModelError, match="install the extra local-model"):
        local_model.start_server("127.0.0.1", 1)
