"""The embedded PostgreSQL, started, shared, killed and stopped by real processes."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from config.postgres import PostgresError, Server, attach, find_programs, running_url

ROOT = Path(__file__).parents[2]
CANARY = "canary-81c0"
# Attaches, says where, and detaches once its standard input ends.
USER_SCRIPT = """
import sys
from pathlib import Path
from config.postgres import PostgresError, attach
try:
    with attach(Path(sys.argv[1]), durable=False) as server:
        print(server.url, flush=True)
        sys.stdin.read()
except PostgresError as error:
    print(error, flush=True)
"""

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root; all other tests here run as an ordinary user")


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory with no server yet, and none left at the end."""
    directory = tmp_path / "data"
    yield directory
    if running_url(directory):
        attach(directory).detach()


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A data directory that every account can reach, which pytest's own are not."""
    directory = Path(tempfile.mkdtemp(prefix="daehwa-test-"))
    directory.chmod(0o755)
    yield directory / "data"
    if running_url(directory / "data"):
        attach(directory / "data").detach()
    shutil.rmtree(directory)


@contextmanager
def user_process(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that attaches at once; the first line it prints is the URL."""
    command = [sys.executable, "-c", USER_SCRIPT, str(data_dir)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ask(server: Server, statement: str) -> object:
    """The first column of the first row of a statement's result, if it has one."""
    with psycopg.connect(server.url) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def postmaster_pid(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])


def kill_server(data_dir: Path) -> None:
    """Kill the postmaster, and return when it is gone; its children may not be."""
    os.kill(postmaster_pid(data_dir), signal.SIGKILL)
    while running_url(data_dir):
        time.sleep(0.001)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is more than an exit code that nobody has collected."""
    state = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return state not in ("", "Z")


def test_the_first_start_makes_a_database_that_knows_korean_letters(data_dir: Path) -> None:
    with attach(data_dir) as server:
        ask(server, "CREATE EXTENSION pg_trgm")
        assert ask(server, "SELECT current_database()") == "daehwa"
        assert ask(server, "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'daehwa'") == "UTF8"
        assert ask(server, "SELECT cardinality(show_trgm('한국어'))") == 4


def test_it_listens_on_a_private_unix_socket_only(data_dir: Path) -> None:
    with attach(data_dir) as server:
        assert ask(server, "SHOW listen_addresses") == ""
        socket_dir = Path(str(ask(server, "SHOW unix_socket_directories")).strip('"'))
        assert socket_dir.stat().st_mode & 0o777 == 0o700
        assert ask(server, "SELECT inet_server_addr()") is None
    assert not socket_dir.exists()


def test_an_ordinary_start_is_durable_and_a_test_start_is_not(data_dir: Path) -> None:
    names = "SELECT string_agg(setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN %s"
    names %= "('fsync', 'full_page_writes', 'synchronous_commit')"
    with attach(data_dir) as server:
        assert ask(server, names) == "on on on"
    with attach(data_dir, durable=False) as server:
        assert ask(server, names) == "off off off"


def test_the_last_user_stops_it(data_dir: Path) -> None:
    first = attach(data_dir)
    with user_process(data_dir) as other:
        assert first_line(other) == first.url
        first.detach()
        assert running_url(data_dir) == first.url
    assert running_url(data_dir) is None


def test_detaching_twice_takes_nobody_elses_share(data_dir: Path) -> None:
    first, second = attach(data_dir), attach(data_dir)
    first.detach()
    first.detach()
    assert ask(second, "SELECT 1") == 1
    second.detach()
    assert running_url(data_dir) is None


def test_processes_that_start_at_once_share_one_server(data_dir: Path) -> None:
    with user_process(data_dir) as first, user_process(data_dir) as second, user_process(data_dir) as third:
        urls = {first_line(first), first_line(second), first_line(third)}
        assert urls == {running_url(data_dir)}
    assert running_url(data_dir) is None


def test_what_was_written_is_there_after_a_stop(data_dir: Path) -> None:
    with attach(data_dir) as server:
        ask(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    with attach(data_dir) as server:
        assert ask(server, "SELECT answer FROM kept") == 42


def test_a_server_whose_only_user_was_killed_is_found_again(data_dir: Path) -> None:
    with user_process(data_dir) as killed:
        url = first_line(killed)
        killed.kill()
    assert running_url(data_dir) == url
    with attach(data_dir) as server:
        assert server.url == url
    assert running_url(data_dir) is None


def test_a_killed_user_no_longer_counts(data_dir: Path) -> None:
    with attach(data_dir), user_process(data_dir) as killed:
        first_line(killed)
        killed.kill()
        killed.wait()
    assert running_url(data_dir) is None


def test_a_user_killed_while_making_the_cluster_leaves_nothing_in_the_way(data_dir: Path) -> None:
    with user_process(data_dir) as killed:
        while not list(data_dir.glob("postgres.new-*/base")):
            time.sleep(0.005)
        killed.kill()
    with attach(data_dir) as server:
        assert ask(server, "SELECT 1") == 1
    assert not list(data_dir.glob("postgres.new-*"))


def test_a_killed_server_comes_back_with_what_was_committed(data_dir: Path) -> None:
    killed = attach(data_dir)
    ask(killed, "CREATE TABLE kept AS SELECT 42 AS answer")
    kill_server(data_dir)
    with attach(data_dir) as server:
        assert ask(server, "SELECT answer FROM kept") == 42
        killed.detach()
        assert ask(server, "SELECT 1") == 1
    assert running_url(data_dir) is None


def test_a_killed_servers_busy_child_is_waited_for(data_dir: Path) -> None:
    killed = attach(data_dir)
    with psycopg.connect(killed.url) as busy:
        backend = busy.info.backend_pid
        busy.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 5000000)")
        while ask(killed, f"SELECT state FROM pg_stat_activity WHERE pid = {backend}") != "active":
            time.sleep(0.001)
        kill_server(data_dir)
        assert is_alive(backend)
        with attach(data_dir) as server:
            assert not is_alive(backend)
            assert ask(server, "SELECT 1") == 1
        busy.close()
    killed.detach()


def test_detaching_from_a_killed_server_is_quiet(data_dir: Path) -> None:
    server = attach(data_dir)
    kill_server(data_dir)
    server.detach()
    assert running_url(data_dir) is None


def test_a_pid_file_that_names_another_process_is_no_obstacle(data_dir: Path) -> None:
    pid_file = data_dir / "postgres" / "postmaster.pid"
    with attach(data_dir):
        lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert running_url(data_dir) is None
    with attach(data_dir) as server:
        assert ask(server, "SELECT 1") == 1


def test_it_stops_within_five_seconds_of_an_open_transaction(data_dir: Path) -> None:
    server = attach(data_dir)
    connection = psycopg.connect(server.url)
    connection.execute("CREATE TABLE unfinished (number int)")
    began = time.monotonic()
    server.detach()
    assert time.monotonic() - began < 5
    connection.close()
    assert running_url(data_dir) is None


def test_a_path_longer_than_a_socket_may_have_works(tmp_path: Path) -> None:
    with attach(tmp_path / ("long " * 20) / ("'\"$(name)," * 9)) as server:
        assert ask(server, "SELECT 1") == 1


def test_a_long_temporary_directory_is_passed_over(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(data_dir.parent / ("t" * 80)))
    with attach(data_dir) as server:
        assert ask(server, "SELECT 1") == 1


def test_no_content_reaches_its_log(data_dir: Path) -> None:
    with attach(data_dir) as server:
        ask(server, "CREATE TABLE prompts (prompt text UNIQUE CHECK (length(prompt) < 20))")
        for statement in (f"SELECT '{CANARY}'::int", f"INSERT INTO prompts VALUES (repeat('{CANARY}', 9))"):
            with pytest.raises(psycopg.Error):
                ask(server, statement)
        with psycopg.connect(server.url) as connection, pytest.raises(psycopg.Error):
            connection.execute("SELECT (%s::text)::int", [CANARY])
    assert "ready to accept connections" in (data_dir / "postgres.log").read_text()
    assert CANARY not in (data_dir / "postgres.log").read_text()


def test_a_failed_start_says_why_and_leaves_no_share(data_dir: Path) -> None:
    attach(data_dir).detach()
    settings = data_dir / "postgres" / "postgresql.conf"
    good = settings.read_text()
    settings.write_text("shared_buffers = nonsense\n")
    with pytest.raises(PostgresError, match=r"did not start(.|\n)*shared_buffers"):
        attach(data_dir)
    settings.write_text(good)
    attach(data_dir).detach()
    assert running_url(data_dir) is None


def test_a_data_directory_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(PostgresError, match=r"data directory .*taken cannot be used: File exists"):
        attach(tmp_path / "taken")


@pytest.mark.parametrize("content", [None, "initdb"])
def test_a_directory_without_programs_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    if content:
        (tmp_path / content).touch(mode=0o755)
    monkeypatch.setenv("POSTGRES_BIN", str(tmp_path))
    with pytest.raises(PostgresError, match="Look at POSTGRES_BIN"):
        attach(tmp_path / "data")


def test_another_postgres_can_be_named(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        pytest.skip("no other PostgreSQL is installed")
    monkeypatch.setenv("POSTGRES_BIN", str(found[-1].parent))
    with attach(data_dir) as server:
        assert f"PostgreSQL {found[-1].parts[-3]}" in str(ask(server, "SELECT version()"))
        ask(server, "CREATE EXTENSION pg_trgm")
        assert ask(server, "SELECT cardinality(show_trgm('한국어'))") == 4


def test_secrets_of_the_environment_are_not_the_servers(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTREAM_API_KEY", CANARY)
    monkeypatch.setenv("PGPORT", "1")
    with attach(data_dir):
        environment = Path(f"/proc/{postmaster_pid(data_dir)}/environ")
        if not environment.exists():
            pytest.skip("no /proc")
        assert CANARY not in environment.read_text()


@only_root
def test_root_gives_it_to_nobody(open_dir: Path) -> None:
    with attach(open_dir) as server:
        assert ask(server, "SELECT 1") == 1
        assert (open_dir / "postgres").stat().st_uid == pwd.getpwnam("nobody").pw_uid


@only_root
def test_root_runs_it_in_a_namespace_where_nobody_can_reach_it(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700)
    with attach(data_dir) as server:
        assert ask(server, "SELECT 1") == 1
        assert (data_dir / "postgres").stat().st_uid == 0
        assert "0 1" in Path(f"/proc/{postmaster_pid(data_dir)}/uid_map").read_text().replace("         ", "")


@only_root
def test_an_ordinary_user_needs_nothing(open_dir: Path, as_nobody: Callable[[Path], str]) -> None:
    open_dir.mkdir()
    nobody = pwd.getpwnam("nobody")
    os.chown(open_dir, nobody.pw_uid, nobody.pw_gid)
    assert as_nobody(open_dir).startswith("postgresql://")
    assert (open_dir / "postgres.log").stat().st_uid == nobody.pw_uid


@only_root
def test_an_unwritable_data_directory_is_one_sentence(open_dir: Path, as_nobody: Callable[[Path], str]) -> None:
    open_dir.mkdir(mode=0o755)
    assert "cannot be used: Permission denied" in as_nobody(open_dir)


@pytest.fixture
def as_nobody() -> Callable[[Path], str]:
    """Runs the user script as an ordinary user, by an interpreter that such a user may run, and returns its output."""
    nobody = pwd.getpwnam("nobody")
    account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def can_run(python: str) -> bool:
        try:
            return subprocess.run([python, "-c", "import config.postgres"], cwd=ROOT, **account).returncode == 0  # type: ignore[call-overload,no-any-return]
        except PermissionError:
            return False

    python = next(filter(can_run, (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3")), None)
    if python is None:
        pytest.skip("no Python that an ordinary user may run, or no way for one to this directory")

    def run(data_dir: Path) -> str:
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            [python, "-c", USER_SCRIPT, str(data_dir)],
            cwd=ROOT,
            env={"POSTGRES_BIN": str(find_programs()), "PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            **account,
        ).stdout

    return run
