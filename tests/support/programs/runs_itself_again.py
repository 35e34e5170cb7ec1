"""Replaces itself from a thread while its main thread is blocked; prints a line in each life."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from search.core import restart
from search.core.process_tree import list_children
from search.core.restart import Handoff

LEFT_OPEN = 77


def _main():
    restart.allow()
    number = restart.received().number
    before = len(list_children())
    restart.reap_children()
    life = {
        "pid": os.getpid(),
        "number": number,
        "arguments": sys.argv[1:],
        "changed": os.environ.get("CHANGED_BY_THE_FIRST", ""),
        "handed_on": os.environ.get("SPKSEARCH_RUN_AGAIN", ""),
        "file_is_open": Path(f"/dev/fd/{LEFT_OPEN}").exists(),
        "children": [before, len(list_children())],
    }
    sys.stdout.write(json.dumps(life) + "\n")
    if not number:
        _replace()


def _replace():
    os.environ["CHANGED_BY_THE_FIRST"] = "yes"
    os.dup2(0, LEFT_OPEN, inheritable=True)  # as a library in C++ leaves its files open
    child = subprocess.Popen(["true"])
    time.sleep(0.2)
    handoff = Handoff(number=1, children=(child.pid,))
    threading.Thread(target=restart.run_again, args=(handoff,)).start()
    time.sleep(30)
    sys.exit(9)


if __name__ == "__main__":
    _main()
