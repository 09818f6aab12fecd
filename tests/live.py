"""The whole program as children of the test run: granian with both halves, and deferred workers, as ``up`` starts them.

``with LiveServer(upstream.url, DEFERRED_LEASE_SECONDS="2") as live: … live.origin …``. Every server has a database of
its own on the run's PostgreSQL, copied from one that was migrated and given its projects and keys by ``manage.py``.
"""

import contextlib
import functools
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import psycopg

ROOT = Path(__file__).resolve().parent.parent
MANAGE = str(ROOT / "manage.py")
START_SECONDS = 30.0
STOP_SECONDS = 15.0
ADMIN = ("admin", "correct horse battery staple")
"""The administrator's name and password, for the browser."""

CALL_COMMANDS = """
import json, os, sys, django
from django.core.management import call_command
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()
for command in json.loads(sys.argv[1]):
    call_command(*command)
"""

_numbers = itertools.count(1)


class LiveServer:
    """A running server and, unless ``worker=False``, one deferred worker; anything else is its environment.

    ``key`` opens the project ``support``, ``other_key`` the project ``other``, and ``read_once_key`` the project
    ``once``, whose deferred results are read once.
    """

    def __init__(self, upstream_url: str, *, worker: bool = True, **environment: str) -> None:
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self._begins_with_worker = worker
        self._directory = Path(tempfile.mkdtemp(prefix="daehwa-live-"))
        self._log = self._directory / "log"
        self._upstream_url = upstream_url
        self._changes = environment
        self.server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        template, keys = _make_template()
        self.key, self.other_key, self.read_once_key = keys
        self.database_url = _create_database(f"{template}_{next(_numbers)}", template)
        self._environment = _environment(
            self.database_url, self._directory, {"UPSTREAM_BASE_URL": self._upstream_url, **self._changes}
        )
        try:
            self.start_server()
            if self._begins_with_worker:
                self.start_worker()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def log_text(self) -> str:
        """What the server and the workers wrote so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start_server(self) -> None:
        """Start granian on the same port as before, and wait until it answers."""
        arguments = ["-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(self.port)]
        arguments += ["--no-ws", "--log-level", "warning", "--workers-kill-timeout", "10", "config.asgi:application"]
        self.server = self._start(arguments)
        try:
            wait_until(self._answers, what="an answer of the server", seconds=START_SECONDS)
        except AssertionError as error:
            error.add_note(self.log_text)
            raise

    def kill_server(self) -> None:
        """SIGKILL, for the server and its own children."""
        assert self.server is not None
        _signal_group(self.server, signal.SIGKILL)
        self.server.wait(STOP_SECONDS)

    def start_worker(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start one more ``manage.py worker``, with changes to its environment."""
        worker = self._start([MANAGE, "worker"], environment)
        self.workers.append(worker)
        return worker

    def kill_worker(self, worker: subprocess.Popen[bytes] | None = None) -> None:
        """SIGKILL, for the newest worker unless another one is given."""
        worker = worker or self.workers[-1]
        worker.kill()
        worker.wait(STOP_SECONDS)
        self.workers.remove(worker)

    def stop_worker(self, worker: subprocess.Popen[bytes] | None = None) -> int:
        """SIGTERM, for the newest worker unless another one is given; its exit status."""
        worker = worker or self.workers[-1]
        worker.terminate()
        status = worker.wait(STOP_SECONDS)
        self.workers.remove(worker)
        return status

    def run_command(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run ``manage.py`` with the server's own environment, to its end."""
        return _run_command(self._environment, *arguments, check=check)

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of one statement on the server's database, on a connection of its own."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(sql.encode(), parameters).fetchall()

    def stop(self) -> None:
        """Stop everything politely, kill what is left of it, and drop the database."""
        children = [*self.workers, *([self.server] if self.server else [])]
        for child in children:
            child.terminate()
            # One that a test stopped must run to notice.
            _signal_group(child, signal.SIGCONT)
        deadline = time.monotonic() + STOP_SECONDS
        for child in children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(max(0.1, deadline - time.monotonic()))
            _signal_group(child, signal.SIGKILL)
            child.wait()
        self.workers.clear()
        self.server = None
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            name = urlsplit(self.database_url).path[1:]
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self, arguments: list[str], changes: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *arguments],
                env={**self._environment, **(changes or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        assert self.server is not None
        assert self.server.poll() is None, f"The server ended with {self.server.returncode}:\n{self.log_text}"
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.origin}/login/", timeout=5):
            return True
        return False


def wait_until(happens: Callable[[], Any], *, what: str = "it", seconds: float = 20.0) -> Any:
    """Ask again every 50 ms until the answer is true, and return it. Fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (answer := happens()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} seconds"
        time.sleep(0.05)
    return answer


def say(**directive: Any) -> str:
    """A user message that tells the scripted upstream what to do."""
    return "@@" + json.dumps(directive, ensure_ascii=False)


def told(**directive: Any) -> list[Any]:
    """Messages whose last one tells the scripted upstream what to do."""
    return [{"role": "user", "content": say(**directive)}]


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@functools.cache
def _make_template() -> tuple[str, tuple[str, str, str]]:
    """A migrated database with projects, keys and an administrator, once a run; its name and the keys."""
    name = f"live_{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="daehwa-live-") as directory:
        environment = _environment(
            _create_database(name, "template1"), Path(directory), {"DJANGO_SUPERUSER_PASSWORD": ADMIN[1]}
        )
        commands = [
            ["migrate", "--verbosity", "0"],
            *(["create_api_key", "tests", "--project", project] for project in ("support", "other", "once")),
            ["configure_project", "once", "--deferred-read-once", "on"],
            ["createsuperuser", "--noinput", "--username", ADMIN[0], "--email", "admin@example.com"],
        ]
        # One process for all of them: most of a command's time goes by before it begins.
        ended = subprocess.run(
            [sys.executable, "-c", CALL_COMMANDS, json.dumps(commands)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr
    support, other, once = re.findall(r"^dw_\S+$", ended.stdout, re.MULTILINE)
    return name, (support, other, once)


def _create_database(name: str, template: str) -> str:
    """Copy a database; returns the URL of the copy."""
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def _environment(database_url: str, data_dir: Path, changes: dict[str, str]) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "DATA_DIR": str(data_dir),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        **changes,
    }


def _run_command(
    environment: dict[str, str], *arguments: str, check: bool = True
) -> "subprocess.CompletedProcess[str]":
    ended = subprocess.run(
        [sys.executable, MANAGE, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert not check or ended.returncode == 0, f"{arguments} failed:\n{ended.stdout}{ended.stderr}"
    return ended


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)
