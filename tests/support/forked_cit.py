"""`cit` as a process that is forked from one which has imported everything: the same, without the wait.

As a script it is the server, which forks for every command that reaches its socket; `installed` puts a `cit` into a
folder for PATH, a real program that hands its descriptors, folder and environment to the server.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["installed"]

SOCKET = "cit.socket"
WARM = ("cit_core.cli", "cit_core.store.capability_store", "cit_core.router.loading", "alembic.command", "rich.table")
CLIENT = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
request = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(request).to_bytes(4, "big")], [0, 1, 2])
server.sendall(request)
sys.exit(int(server.recv(4) or b"70"))
"""


@contextmanager
def installed(folder: Path) -> Iterator[Path]:
    """Serve in a folder that is to be first in PATH; yields the folder."""
    address = folder / SOCKET
    (program := folder / "cit").write_text(CLIENT.format(python=sys.executable, address=str(address)))
    program.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, __file__, str(address)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as server:
        assert server.stdout
        assert server.stdout.readline() == b"ready\n"
        yield folder
        server.communicate(timeout=60)


def serve(address: str) -> tuple[list[str], str, dict[str, str]]:
    """Fork for every command until stdin ends; returns only in a process that is to run one: arguments, folder, env."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        os.write(1, b"ready\n")
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes that wait
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            client, _ = listener.accept()
            if os.fork() == 0:
                return attend(client)
            client.close()
    sys.exit()


def attend(client: socket.socket) -> tuple[list[str], str, dict[str, str]]:
    """Start the command of a client and send its exit code; returns in the process that is to run it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, descriptors, _, _ = socket.recv_fds(client, 4, 3)
    request = b""
    while len(request) < int.from_bytes(length, "big"):
        request += client.recv(1 << 16)
    if child := os.fork():
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        client.sendall(str(code if code >= 0 else 128 - code).encode())
        os._exit(0)
    client.close()
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
    arguments, folder, environment = json.loads(request)
    return arguments, folder, environment


def run() -> int:
    """Run the command line in this process; returns its exit code."""
    from cit_core.cli import main

    try:
        main()
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    return 0


def end(code: int) -> None:
    """End as Python does, without taking all modules apart."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    for module in WARM:
        importlib.import_module(module)
    gc.freeze()  # pages that no collection touches stay shared
    sys.argv, place, settings = serve(sys.argv[1])
    os.chdir(place)
    os.environ.clear()
    os.environ.update(settings)
    end(run())
