"""A process of a benchmark: `worker.py MODULE:FUNCTION ARGUMENTS`; see processes.py for how it is spoken to."""

import importlib
import json
import signal
import sys


def main(where: str, arguments: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one, which then ends it
    module, function = where.split(":")
    steps = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    for answer in steps:
        print(json.dumps(answer), flush=True)
        if not sys.stdin.readline():
            break
    steps.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
