"""Children that run the command line and can be killed: forked from one process that has loaded everything.

Loading torch takes seconds, and nothing is at stake meanwhile; a forked child is at work at once. Reads one JSON object a
line, {"words", "signal", "after", "told"}, and answers with {"status", "seconds"}; `told` is where the child's words go.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import NoReturn

import robustdx.api  # loaded before the fork, for the children
from robustdx.cli import main

assert robustdx.api


def child(words: list[str], told: str) -> NoReturn:
    file = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = ["robustdx", *words]
    status = 1
    try:
        main()
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def watch(process: int, number: int, after: float) -> tuple[int, float]:
    """Wait for a child, and signal it after so many seconds; its status as the shell says it."""
    began, sent = time.monotonic(), False
    while True:
        finished, status = os.waitpid(process, os.WNOHANG)
        if finished:
            return os.waitstatus_to_exitcode(status), time.monotonic() - began
        if not sent and time.monotonic() - began > after:
            os.kill(process, number)
            sent = True
        time.sleep(0.002)


if __name__ == "__main__":
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        process = os.fork()
        if process == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            child(asked["words"], asked["told"])
        status, seconds = watch(process, asked["signal"], asked["after"])
        print(json.dumps({"status": status, "seconds": seconds}), flush=True)
