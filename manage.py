#!/usr/bin/env python3
"""Runs Daehwa's commands. Without ``DATABASE_URL`` each of them attaches to the embedded PostgreSQL."""

import argparse
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from config.postgres import PostgresError, attach

NEEDS_NO_DATABASE = {None, "help", "version", "--help", "--version"}


def read_data_dir(arguments: list[str]) -> Path:
    """The data directory: ``--data-dir``, else ``DATA_DIR``, else ``.data`` beside this file."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--data-dir")
    known, _ = parser.parse_known_args(arguments)
    default = os.environ.get("DATA_DIR") or str(Path(__file__).resolve().parent / ".data")
    return Path(known.data_dir or default).expanduser().resolve()


def main() -> None:
    """Run one command, with a database to run it on."""
    # Ends through the exits below, so that the last user of the embedded PostgreSQL stops it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    data_dir = read_data_dir(sys.argv[1:])
    os.environ["DATA_DIR"] = str(data_dir)
    command = sys.argv[1] if len(sys.argv) > 1 else None
    try:
        with ExitStack() as stack:
            if not os.environ.get("DATABASE_URL") and command not in NEEDS_NO_DATABASE:
                os.environ["DATABASE_URL"] = stack.enter_context(attach(data_dir)).url
            execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, PostgresError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
