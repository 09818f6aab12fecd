"""Copying a record: each command and program is run, and what it sends is what was sent."""

import json
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from conversations.models import Body
from tests.factories import make_completed, make_failed, make_request_body, make_response_body

HOSTILE = [
    'it\'s "quoted" `id` $(id) $HOME ${HOME} \\ ! !! \n\r\t end',
    "'; echo pwned; '",
    "JSON\nEOF\n'''\n\"\"\"\n\\",
    "{{ 7 }} {% x %} <script>alert(1)</script>",
    "\u202eevil\u2066 \u200b\U000e0041 \u0007\u001b[31m",
    "안녕하세요 你好 😀",
    "# comment\n; rm -rf /\n& calc",
    "\0",
]


@pytest.fixture
def catcher():
    """A server that keeps what it is sent, and answers with a completion."""
    caught = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            caught.append((self.path, dict(self.headers), body))
            answer = json.dumps(make_response_body()).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, caught
    server.shutdown()
    server.server_close()


def copy(reader, record, form):
    response = reader.get(f"/requests/{record.request_id}/as/{form}")
    assert response["Content-Type"].startswith("text/plain")
    assert response["X-Content-Type-Options"] == "nosniff"
    return response.content.decode()


def run(command, text, port, cwd):
    """Run a copied text as somebody would who pasted it, against the catcher."""
    text = text.replace("http://testserver", f"http://127.0.0.1:{port}")
    environment = {"PATH": "/usr/bin:/bin", "DAEHWA_API_KEY": "dw_key", "NO_PROXY": "*", "HOME": str(cwd)}
    done = subprocess.run([*command, text], env=environment, cwd=cwd, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert list(cwd.iterdir()) == []


BODY = {
    "messages": [{"role": "user", "content": text} for text in HOSTILE],
    "temperature": 0.0,
    "seed": 4944116822809979520,
    "metadata": {"it's": "\"a\"'b'"},
    'vendor\'s "key"': [None, True, {"x": []}],
    "user": "@/etc/passwd",
}


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl to run")
@pytest.mark.parametrize("surface", ["openai", "azure"])
def test_the_command_sends_what_was_sent(reader, project, catcher, tmp_path, surface):
    port, caught = catcher
    sent = make_request_body(**BODY)
    record = make_completed(project, request_body=sent, surface=surface, preview="", metadata={})
    text = copy(reader, record, "curl")
    run(["sh", "-c"], text, port, tmp_path)
    ((path, headers, body),) = caught
    assert json.loads(body) == sent
    assert path.startswith("/v1/chat" if surface == "openai" else "/models/chat")
    assert "dw_key" in (headers.get("Authorization") or headers["api-key"])


@pytest.mark.parametrize("form", ["openai", "azure"])
def test_the_program_sends_what_was_sent(reader, project, catcher, tmp_path, form):
    port, caught = catcher
    sent = make_request_body(**BODY)
    record = make_completed(project, request_body=sent, preview="", metadata={})
    run([sys.executable, "-c"], copy(reader, record, form), port, tmp_path)
    ((_, headers, body),) = caught
    assert json.loads(body) == sent
    assert (headers.get("extra-parameters") == "pass-through") == (form == "azure")


@pytest.mark.parametrize("form", ["curl", "openai", "azure"])
def test_nothing_invisible_is_in_what_one_pastes(reader, project, form):
    record = make_completed(project, request_body=make_request_body(**BODY), preview="", metadata={})
    text = copy(reader, record, form)
    assert not re.search("[\0-\x08\x0b-\x1f\x7f\u200b\u202e\u2066\U000e0041]", text)


@pytest.mark.parametrize("form", ["curl", "openai", "azure", "markdown"])
def test_nothing_copied_holds_a_key(reader, project, api_key, form):
    text = copy(reader, make_completed(project), form)
    assert "dw_" not in text
    assert form == "markdown" or "DAEHWA_API_KEY" in text


def test_a_body_too_long_for_a_command_comes_from_a_file(reader, project):
    messages = [{"role": "user", "content": "x" * 200_000}]
    record = make_completed(project, request_body=make_request_body(messages=messages))
    text = copy(reader, record, "curl")
    assert f"--data-binary @{record.request_id}-request.json" in text
    assert len(text) < 1_000


def test_in_markdown_no_message_passes_for_another(reader, project):
    spoof = "done\n\n**Assistant**\n\n> I agree\n```\n# Title"
    record = make_completed(project, request_body=make_request_body(messages=[{"role": "user", "content": spoof}]))
    lines = copy(reader, record, "markdown").splitlines()
    assert [line for line in lines if line and not line.startswith(">")][1:] == ["**User**", "**Assistant**"]
    assert "> 말을 주고받는 일입니다." in lines


@pytest.mark.parametrize(
    "messages", [7, {}, [None, 1, {}], [{"role": [], "content": {}}], [{"role": "tool", "tool_calls": [1, {}]}]]
)
@pytest.mark.parametrize("form", ["curl", "openai", "azure", "markdown"])
def test_odd_shapes_are_copied_all_the_same(reader, project, messages, form):
    record = make_completed(project)
    Body.objects.filter(pk=record.pk).update(request_body=json.dumps({"messages": messages}).encode())
    assert copy(reader, record, form)


@pytest.mark.parametrize("form", ["x", "openai", "curl"])
def test_what_cannot_be_copied_is_404(reader, project, form):
    record = make_completed(project, content_kept=False, stored=False)
    assert reader.get(f"/requests/{record.request_id}/as/{form}").status_code == 404


class TestRequestJson:
    def test_it_has_the_facts_and_both_bodies_as_they_came(self, reader, project):
        sent, answered = (
            b'{"model":"m", "seed":1e0,"messages":[]}',
            b'{"id":"a","model":"m","created":1, "choices":[1.0]}',
        )
        record = make_completed(project, request_body=sent, response_body=answered, model="m")
        response = reader.get(f"/requests/{record.request_id}.json")
        assert b'"request":' + sent in response.content
        assert b'"response":' + answered in response.content
        assert response.json()["response_id"] == "a"
        assert "sandbox" in response["Content-Security-Policy"]

    @pytest.mark.parametrize("answer", [b"<html>", b'{"a":NaN}', b'{"a":"\x01"}', b"\xff", b'{"a":1}\0'])
    def test_an_answer_that_is_no_json_is_a_string(self, reader, project, answer):
        record = make_failed(project)
        Body.objects.filter(pk=record.pk).update(response_body=answer)
        assert isinstance(reader.get(f"/requests/{record.request_id}.json").json()["response"], str)

    def test_what_was_not_kept_is_null(self, reader, project):
        record = make_completed(project, content_kept=False, stored=False)
        shown = reader.get(f"/requests/{record.request_id}.json").json()
        assert (shown["request"], shown["response"], shown["state"]) == (None, None, "completed")
