"""``manage.py up`` as a newcomer meets it: one command, a curl line that works as pasted, and a clean end."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.acceptance.deferring import HELLO
from tests.live import MANAGE, free_port, told, wait_until
from tests.scripted_upstream import ScriptedUpstream


class Up:
    """One running ``manage.py up``."""

    def __init__(self, data_dir: Path, upstream_url: str, *arguments: str) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.environment = environment(upstream_url)
        self._output = data_dir.parent / f"output-{self.port}"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, MANAGE, "up", "--data-dir", str(data_dir), "--port", str(self.port), *arguments],
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it said so far."""
        return self._output.read_text()

    def wait_until_ready(self) -> None:
        """Wait for its last line."""

        def ready() -> bool:
            assert self.process.poll() is None, self.output
            return "Ctrl-C" in self.output

        wait_until(ready, what="up", seconds=60)

    def processes(self) -> dict[int, str]:
        """Itself, its children and PostgreSQL's: ID and command line of all that have to do with the data directory."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_text().replace("\0", " ")
                variables = (entry / "environ").read_text(errors="replace")
                place = (entry / "cwd").readlink()
            except OSError:
                continue
            named = f"DATA_DIR={self.data_dir}\0" in variables or str(self.data_dir) in command
            if named or place.is_relative_to(self.data_dir):
                found[int(entry.name)] = command
        return found

    def worker(self) -> int:
        """The process ID of its worker."""
        return next(
            (pid for pid, command in self.processes().items() if command.strip().endswith("manage.py worker")), 0
        )

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Another command on the same data directory."""
        command = [sys.executable, MANAGE, *arguments, "--data-dir", str(self.data_dir)]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)

    def stop(self, number: signal.Signals) -> float:
        """Send the signal and wait for the end; the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        return time.monotonic() - began


def environment(upstream_url: str) -> dict[str, str]:
    """The environment of somebody who has set nothing but an upstream."""
    ours = {"DATABASE_URL", "DATA_DIR", "UPSTREAM_BASE_URL"}
    return {**{k: v for k, v in os.environ.items() if k not in ours}, "UPSTREAM_BASE_URL": upstream_url}


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A directory that PostgreSQL's own account can reach too."""
    directory = Path(tempfile.mkdtemp(prefix="daehwa-up-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def up(home: Path, scripted_upstream: ScriptedUpstream) -> Iterator[Up]:
    """The first run on a new data directory."""
    running = Up(home / "data with space", scripted_upstream.url)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop(signal.SIGTERM)


def key_of(up: Up) -> str:
    """The first key, out of the printed line."""
    found = re.search(r"Bearer (dw_\w+)", up.output)
    assert found
    return found.group(1)


def test_the_printed_curl_line_works_as_pasted(up: Up) -> None:
    line = next(line for line in up.output.splitlines() if line.startswith("curl "))
    answer = subprocess.run(line, shell=True, capture_output=True, text=True, check=True)
    assert "You said: 안녕하세요" in answer.stdout


def test_the_printed_password_opens_the_printed_address(up: Up) -> None:
    address = re.search(r"http://127\.0\.0\.1:\d+/", up.output)
    password = re.search(r"Password: +(\S+)", up.output)
    assert address
    assert password
    with requests.Session() as browser:
        browser.get(f"{address.group()}login/")
        form = {"username": "admin", "password": password.group(1), "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        page = browser.post(f"{address.group()}login/", data=form, headers={"Referer": address.group()})
    assert page.url == address.group()
    assert page.status_code == 200


def test_samples_are_there(up: Up) -> None:
    page = requests.get(f"{up.origin}/api/requests/", headers={"Authorization": f"Bearer {key_of(up)}"}).json()
    assert len([found for found in page["data"] if found["is_sample"]]) >= 4


def test_a_key_made_while_up_runs_opens_the_api_and_is_the_only_line(up: Up) -> None:
    made = up.run("create_api_key", "mine", "--project", "another")
    assert re.fullmatch(r"dw_\S+\n", made.stdout)
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
    assert requests.get(f"{up.origin}/v1/chat/completions", headers=headers).json()["data"] == []


def test_a_killed_worker_is_replaced_and_finishes_what_is_deferred(up: Up) -> None:
    killed = up.worker()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: up.worker() not in {0, killed}, what="a new worker")
    headers = {"Authorization": f"Bearer {key_of(up)}"}
    body = {"model": "m", "messages": HELLO, "deferred": True}
    request_id = requests.post(f"{up.origin}/v1/chat/completions", json=body, headers=headers).json()["request_id"]
    url = f"{up.origin}/v1/chat/deferred-completion/{request_id}"
    wait_until(lambda: requests.get(url, headers=headers).status_code == 200, what="the result")


def test_samples_are_removed_and_nothing_else(up: Up) -> None:
    headers = {"Authorization": f"Bearer {key_of(up)}"}
    body = {"model": "m", "messages": HELLO, "store": True}
    created = requests.post(f"{up.origin}/v1/chat/completions", json=body, headers=headers).json()
    assert up.run("remove_samples").returncode == 0
    page = requests.get(f"{up.origin}/api/requests/", headers=headers).json()
    assert [found for found in page["data"] if found["is_sample"]] == []
    assert requests.get(f"{up.origin}/v1/chat/completions/{created['id']}", headers=headers).status_code == 200


def assert_refused(ended: "subprocess.CompletedProcess[str]", words: str) -> None:
    """One sentence on stderr, exit status 1, no traceback."""
    assert ended.returncode == 1
    assert re.search(words, ended.stderr), ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_up_on_the_same_directory_is_refused(up: Up) -> None:
    assert_refused(up.run("up", "--port", str(free_port())), "already running")


def test_a_port_in_use_is_refused(up: Up, home: Path, scripted_upstream: ScriptedUpstream) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, MANAGE, "up", "--data-dir", str(home / "p"), "--port", str(taken.getsockname()[1])]
        variables = {**environment(scripted_upstream.url), "DATABASE_URL": os.environ["DATABASE_URL"]}
        ended = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=60)
    assert_refused(ended, "Cannot listen on 127.0.0.1 port")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://nobody@127.0.0.1:9/none", "DATABASE_URL"),
        ("mysql://x/y", "DATABASE_URL must look like"),
        ("nonsense", "DATABASE_URL must look like"),
    ],
)
def test_a_broken_database_url_is_refused(home: Path, url: str, words: str) -> None:
    command = [sys.executable, MANAGE, "up", "--data-dir", str(home / "b"), "--port", str(free_port())]
    variables = {**environment(""), "DATABASE_URL": url}
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=60)
    assert_refused(ended, words)


def test_a_directory_that_cannot_be_written_is_refused(home: Path) -> None:
    # Root may write everywhere, but not below a file.
    (home / "file").write_text("")
    command = [sys.executable, MANAGE, "up", "--data-dir", str(home / "file" / "data")]
    ended = subprocess.run(command, env=environment(""), capture_output=True, text=True, check=False, timeout=60)
    assert_refused(ended, "The data directory .* cannot be used")


def test_sigterm_ends_everything_within_15_seconds_while_calls_run(up: Up, scripted_upstream: ScriptedUpstream) -> None:
    headers = {"Authorization": f"Bearer {key_of(up)}"}
    body = {"model": "m", "messages": told(nonce="last", delay=60), "deferred": True}
    requests.post(f"{up.origin}/v1/chat/completions", json=body, headers=headers)
    wait_until(lambda: scripted_upstream.calls_for("last"), what="the call")
    assert len(up.processes()) > 5, up.processes()
    assert up.stop(signal.SIGTERM) < 15
    assert up.process.returncode == 0
    assert up.output.endswith("Stopped.\n")
    assert up.processes() == {}


def test_a_second_start_keeps_what_was_there_and_ctrl_c_ends_it(up: Up, scripted_upstream: ScriptedUpstream) -> None:
    again = Up(up.data_dir, scripted_upstream.url, "--no-worker")
    try:
        again.wait_until_ready()
        headers = {"Authorization": f"Bearer {key_of(up)}"}
        assert "Password" not in again.output
        assert len(requests.get(f"{again.origin}/api/requests/", headers=headers).json()["data"]) >= 3
        assert again.worker() == 0
    finally:
        assert again.stop(signal.SIGINT) < 15
    assert again.processes() == {}
