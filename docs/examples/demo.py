#!/usr/bin/env python3
"""Server, producer and consumer together for a few seconds, each in a process of its own: `demo.py [SECONDS]`."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
TOKEN = "demo-token"


def show(name: str, process: subprocess.Popen[str]) -> threading.Thread:
    """Print what a process prints, with its name in front."""

    def pump() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"{name:>8} | {line}", end="", flush=True)

    thread = threading.Thread(target=pump, daemon=True)
    thread.start()
    return thread


def main(seconds: float) -> int:
    # A script's `demo.py &` ignores it, and what is started here would too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with ExitStack() as stack:
        return demonstrate(seconds, stack)


def demonstrate(seconds: float, stack: ExitStack) -> int:
    def start(*command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-u", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        stack.callback(process.kill)  # nothing stays, whatever goes wrong; one that has ended is left alone
        return process

    server = start(
        "-m", "object_database.frontends.database_server", "--service-token", TOKEN, "--inmem", "localhost", "0"
    )
    assert server.stdout is not None
    greeting = server.stdout.readline()  # "serving on localhost:PORT, ..."
    print(f"{'server':>8} | {greeting}", end="", flush=True)
    if not greeting.startswith("serving on"):
        return server.wait() or 1
    port = greeting.split(",")[0].rsplit(":", 1)[1]
    consumer = start(str(EXAMPLES / "consumer.py"), "localhost", port, TOKEN)
    producer = start(str(EXAMPLES / "producer.py"), "localhost", port, TOKEN)
    pumps = [show("server", server), show("consumer", consumer), show("producer", producer)]
    time.sleep(seconds)
    for process in (producer, consumer, server):
        process.send_signal(signal.SIGINT)
        process.wait(10)
    for pump in pumps:
        pump.join(10)
    codes = [process.returncode for process in (producer, consumer, server)]
    print("demo ended" if codes == [0, 0, 0] else f"demo failed: exit codes {codes}", flush=True)
    return int(codes != [0, 0, 0])


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0))
