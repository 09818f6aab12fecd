"""A pytest plugin: one embedded PostgreSQL for the whole run, in a directory of its own.

Loaded with ``-p`` because Django's settings read ``DATABASE_URL`` before any conftest.py is imported.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from config.postgres import attach

_data_dir = Path(tempfile.mkdtemp(prefix="daehwa-tests-"))
# PostgreSQL may run as another user than the tests.
_data_dir.chmod(0o755)
os.environ["DATA_DIR"] = str(_data_dir)
for name in ("UPSTREAM_BASE_URL", "UPSTREAM_API_KEY", "UPSTREAM_MODEL", "DEBUG", "HTTPS"):
    os.environ.pop(name, None)
_server = None
if not os.environ.get("DATABASE_URL"):
    _server = attach(_data_dir, durable=False)
    os.environ["DATABASE_URL"] = _server.url


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server with the run."""
    if _server is not None:
        _server.detach()
    shutil.rmtree(_data_dir, ignore_errors=True)
