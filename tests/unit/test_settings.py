"""The environment: what it means, and that nothing malformed in it gets past the start."""

import os
import re
import runpy
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parents[2]
DATABASE_URL = "postgresql://daehwa:secret@db.example:5433/daehwa"

type Load = Callable[..., dict[str, Any]]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """The settings under an environment that holds nothing but these variables."""

    def run(**variables: str) -> dict[str, Any]:
        for name in list(os.environ):
            monkeypatch.delenv(name)
        for name, value in ({"DATABASE_URL": DATABASE_URL, "DATA_DIR": str(tmp_path)} | variables).items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(str(ROOT / "config" / "settings.py"))

    return run


def readme_variables() -> set[str]:
    """The names in the first column of the README's tables."""
    return set(re.findall(r"^\| *`([A-Z][A-Z_]+)`", (ROOT / "README.md").read_text(), re.MULTILINE))


def test_without_anything_set_it_starts_safely(load: Load) -> None:
    settings = load()
    assert (settings["DEBUG"], settings["UPSTREAM_BASE_URL"], settings["UPSTREAM_STORES"]) == (False, "", False)
    assert settings["MAX_REQUEST_BYTES"] == 32 * 2**20
    assert "*" not in settings["ALLOWED_HOSTS"]


def test_every_variable_is_in_the_readme() -> None:
    source = (ROOT / "config" / "settings.py").read_text()
    read = set(re.findall(r'(?:env\.\w+|read_\w+)\(\s*"([A-Z][A-Z_]+)"', source))
    assert len(read) > 25
    assert read - readme_variables() == set()


NUMBERS = [
    "UPSTREAM_CONNECT_TIMEOUT",
    "UPSTREAM_FIRST_BYTE_TIMEOUT",
    "UPSTREAM_IDLE_TIMEOUT",
    "UPSTREAM_TOTAL_TIMEOUT",
    "STREAM_HEARTBEAT_SECONDS",
    "WORKER_STOP_TIMEOUT",
    "DEFERRED_LEASE_SECONDS",
]
INTEGERS = [
    "MAX_REQUEST_BYTES",
    "MAX_ANSWER_BYTES",
    "WORKER_CONCURRENCY",
    "DEFERRED_MAX_ATTEMPTS",
    "DATABASE_POOL_SIZE",
]
SWITCHES = ["DEBUG", "HTTPS", "UPSTREAM_STORES"]
MALFORMED = [(name, value) for name in NUMBERS + INTEGERS for value in ("", "soon", "nan", "inf", "-1", "1e400", "5 s")]
MALFORMED += [(name, value) for name in INTEGERS for value in ("0", "2000.5")]
MALFORMED += [(name, value) for name in SWITCHES for value in ("", "maybe", "2", "onn")]
MALFORMED += [
    ("UPSTREAM_BASE_URL", "api.openai.com/v1"),
    ("UPSTREAM_BASE_URL", "ftp://host/v1"),
    ("UPSTREAM_BASE_URL", "http://"),
    ("UPSTREAM_BASE_URL", "http://user:password@host/v1"),
    ("UPSTREAM_BASE_URL", "http://host:port/v1"),
    ("UPSTREAM_BASE_URL", "http://host/v1#there"),
    ("UPSTREAM_API_KEY", "two words"),
    ("UPSTREAM_API_KEY", "line\nbreak"),
    ("UPSTREAM_API_KEY", "열쇠"),
    ("UPSTREAM_MODALITIES", "text,smell"),
    ("DATABASE_URL", "mysql://host/name"),
    ("DATABASE_URL", "postgresql://host"),
    ("DATABASE_URL", "postgresql://host:port/name"),
    ("DATABASE_URL", "nonsense"),
    ("DATABASE_URL", ""),
    ("DATA_DIR", "/dev/null/daehwa"),
    ("LOG_LEVEL", "LOUD"),
    ("LANGUAGE_CODE", "xx"),
    ("TIME_ZONE", "Mars/Olympus"),
]


@pytest.mark.parametrize(("name", "value"), MALFORMED)
def test_a_malformed_variable_is_refused_by_its_name(load: Load, name: str, value: str) -> None:
    named = "data directory" if name == "DATA_DIR" else name
    with pytest.raises(ImproperlyConfigured, match=named) as caught:
        load(**{name: value})
    assert str(caught.value).endswith((".", ".)"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["UPSTREAM_BASE_URL", "UPSTREAM_API_KEY", "DATABASE_URL"])
def test_a_refusal_never_quotes_a_secret(load: Load, name: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        load(**{name: "bogus://user:hunter2@host:port/ x"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "meaning"), [("on", True), ("TRUE", True), ("1", True), ("off", False), ("No", False)]
)
def test_a_switch_is_said_in_many_words(load: Load, word: str, meaning: bool) -> None:
    assert load(HTTPS=word)["HTTPS"] is meaning


@pytest.mark.parametrize(
    ("written", "meant"), [("2048", 2048), ("2e3", 2000), (" 4096 ", 4096), ("1_000_000", 1_000_000)]
)
def test_a_number_is_what_it_looks_like(load: Load, written: str, meant: int) -> None:
    assert load(MAX_REQUEST_BYTES=written)["MAX_REQUEST_BYTES"] == meant


def test_a_base_url_loses_its_last_slash(load: Load) -> None:
    assert load(UPSTREAM_BASE_URL=" https://host:8443/v1/ ")["UPSTREAM_BASE_URL"] == "https://host:8443/v1"


@pytest.mark.parametrize("secret", ["$HOME", "a=b", "'quoted'"])
def test_secrets_are_taken_as_they_stand(load: Load, secret: str) -> None:
    settings = load(SECRET_KEY=secret, UPSTREAM_API_KEY=secret)
    assert (settings["SECRET_KEY"], settings["UPSTREAM_API_KEY"]) == (secret, secret)


def test_the_database_is_used_with_care(load: Load) -> None:
    database = load(DATABASE_URL=DATABASE_URL + "?sslmode=require", DATABASE_POOL_SIZE="7")["DATABASES"]["default"]
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db.example", 5433, "daehwa")
    options = database["OPTIONS"]
    assert (options["sslmode"], options["pool"]["max_size"], options["server_side_binding"]) == ("require", 7, True)
    assert (database["CONN_MAX_AGE"], database["CONN_HEALTH_CHECKS"]) == (0, True)


def test_https_hardens_cookies(load: Load) -> None:
    settings = load(HTTPS="on")
    assert settings["SESSION_COOKIE_SECURE"]
    assert settings["CSRF_COOKIE_SECURE"]
    assert settings["SECURE_HSTS_SECONDS"] >= 31_536_000


def test_a_secret_key_is_made_once_and_readable_by_its_owner_only(load: Load, tmp_path: Path) -> None:
    first, second = load()["SECRET_KEY"], load()["SECRET_KEY"]
    assert first == second == (tmp_path / "secret_key").read_text()
    assert len(first) >= 50
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600


def test_a_secret_key_that_was_never_finished_is_made_again(load: Load, tmp_path: Path) -> None:
    (tmp_path / "secret_key").touch()
    assert len(load()["SECRET_KEY"]) >= 50


def test_processes_that_start_together_agree_on_the_secret_key(load: Load, tmp_path: Path) -> None:
    read_secret_key = load()["read_secret_key"]
    (tmp_path / "secret_key").unlink()
    keys, start = [], threading.Barrier(8)

    def read() -> None:
        start.wait()
        keys.append(read_secret_key(tmp_path))

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(set(keys)) == 1
    assert len(keys[0]) >= 50


def test_a_command_says_what_is_malformed_in_one_sentence_and_exits_with_1(tmp_path: Path) -> None:
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "MAX_REQUEST_BYTES": "much"}
    command = [sys.executable, str(ROOT / "manage.py"), "create_api_key", "x", "--project", "x"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "MAX_REQUEST_BYTES must be a number, not 'much'.\n"
