#!/usr/bin/env python3
"""A server on its own: `database_server.py --service-token TOKEN --inmem localhost 8000`."""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from object_database import TcpServer, __version__
from object_database.errors import InternalError, ObjectDatabaseError
from object_database.persistence import Persistence
from object_database.store_keeper import RETRY_S
from object_database.store_options import add_store_options, is_default_store, store_of
from object_database.util import sslContextFromCertPathOrNone
from object_database.util_progress import Progress

EXAMPLES = """\
examples:
  database_server.py --service-token TOKEN --inmem localhost 8000
  database_server.py --service-token TOKEN --data-dir /var/lib/odb localhost 8000
  database_server.py --service-token TOKEN --redis-url redis://localhost:6379/0 localhost 8000
  database_server.py --service-token-file /run/secrets/odb --inmem 0.0.0.0 8000 --ssl-path server.cert

The token can also come from the environment: ODB_SERVICE_TOKEN or ODB_AUTH_TOKEN. Prefer that, or a file, to the
command line, where other users of the machine can see it. SIGINT (Ctrl-C) and SIGTERM stop the server.
"""


def parser(prog: str = "database_server.py") -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog=prog,
        description="Serve an object database over TLS.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("host", help="address or name to listen on; localhost means IPv4 and IPv6")
    made.add_argument("port", type=int, help="port to listen on; 0 picks a free one")
    made.add_argument("--service-token", metavar="TOKEN", help="what clients must know")
    made.add_argument("--service-token-file", metavar="FILE", help="file with the token; blanks around it are dropped")
    made.add_argument(
        "--ssl-path",
        metavar="CERT",
        help="PEM certificate, with its key beside it as .key; "
        "without it a certificate is made for this run, which is safe: clients check the token's proof",
    )
    stores = made.add_argument_group("where objects live (without any of these: redis on this machine, port 6379)")
    stores.add_argument("--inmem", action="store_true", help="in memory only: they are gone at the end")
    add_store_options(stores)
    stores.add_argument(
        "--take-over", action="store_true", help="take the store from a live server, which can then write no more"
    )
    stores.add_argument(
        "--store-retry",
        metavar="SECONDS",
        type=float,
        default=RETRY_S,
        help="how long a store that does not answer is waited for, before the server stops: %(default)g",
    )
    made.add_argument(
        "--memory-max",
        metavar="SIZE",
        type=size,
        help="bytes that the objects may take with their indexes, such as 512M or 2G; what would take more is refused",
    )
    made.add_argument("--version", action="version", version=f"object_database {__version__}")
    return made


def size(text: str) -> int:
    """Bytes of `4096`, `512K`, `512M`, `2G` or `1.5T`. Raises ValueError."""
    words = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if words is None or (count := int(float(words[1]) * 1024 ** " KMGT".index(words[2].upper() or " "))) < 1:
        raise ValueError(text)
    return count


def token_of(options: argparse.Namespace) -> str:
    """The token from wherever it was given. Raises ValueError with a sentence for the user."""
    given = [options.service_token is not None, options.service_token_file is not None]
    if all(given):
        raise ValueError("give --service-token or --service-token-file, not both")
    token = options.service_token
    if options.service_token_file is not None:
        try:
            token = Path(options.service_token_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the token file cannot be read: {error}") from error
    if token is None:
        token = os.environ.get("ODB_SERVICE_TOKEN") or os.environ.get("ODB_AUTH_TOKEN")
    if not token:
        raise ValueError("a token is needed: --service-token, --service-token-file or $ODB_SERVICE_TOKEN")
    return str(token)


DEFAULT_REDIS_PORT = 6379  # as in the reference
_LOOK_S = 2.0  # for a connection to this machine
_HEALTH_S = 2.0  # how often the server's state is looked at; a supervisor hears of an internal error so soon


def store_named(options: argparse.Namespace) -> Persistence | None:
    """The store that the options name; None for memory only. Raises ValueError with a sentence for the user."""
    if not options.store_retry > 0:
        raise ValueError(f"--store-retry is a number of seconds above 0, not {options.store_retry:g}")
    if not options.inmem:
        if is_default_store(options):
            check_default_redis()
        return store_of(options, retry_s=options.store_retry, default_port=DEFAULT_REDIS_PORT)
    if not is_default_store(options) or options.redis_min_replicas is not None:
        raise ValueError("objects live in one place: --inmem, --data-dir or redis, not several of them")
    return None


def check_default_redis() -> None:
    """A redis that was named is waited for, it may be starting; one that nobody named is just not there.

    Raises: ValueError, with the choices that there are."""
    try:
        socket.create_connection(("localhost", DEFAULT_REDIS_PORT), timeout=_LOOK_S).close()
    except OSError as error:
        raise ValueError(
            f"no redis answers on this machine, port {DEFAULT_REDIS_PORT} ({error.strerror or error}): start one, or name "
            "another with --redis_host, --redis_port or --redis-url, or keep objects in a file with --data-dir DIR, or only "
            "in memory with --inmem"
        ) from error


class Stopped(BaseException):
    """A signal came while the server was starting, which may take as long as loading does."""


class Signals:
    """SIGINT and SIGTERM: they end a start at once, and later let the server say farewell."""

    def __init__(self) -> None:
        self.stop: threading.Event = threading.Event()
        self.is_starting: bool = True
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._come)

    def _come(self, *_: object) -> None:
        self.stop.set()
        if self.is_starting:
            self.is_starting = False  # once: what is undone then is not interrupted
            raise Stopped


def serve(server: TcpServer, store: Persistence | None, signals: Signals) -> None:
    """Run until a signal comes, and say where."""
    server._on_loading = Progress()
    with server:
        signals.is_starting = False
        where = "memory" if store is None else store.describe()  # what redis can lose it tells when it is open
        say(f"serving on {server.host}:{server.port}, certificate sha256 {server.fingerprint}, objects in {where}")
        while not signals.stop.wait(_HEALTH_S):
            if (failure := server.failure()) is not None:
                raise server.store_lost or InternalError(f"the server has stopped serving: {failure}")
    say("stopped")


def say(line: str) -> None:
    """Print a line, if anybody still reads: a server does not end because its terminal has gone."""
    try:
        print(line, flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - else the interpreter complains when it ends


def main(arguments: Sequence[str] | None = None, prog: str = "database_server.py") -> int:
    """Returns: 0 when it was told to stop, 1 when its service has ended by itself, 2 when it could not start."""
    options = parser(prog).parse_args(arguments)
    server: TcpServer | None = None
    try:
        token = token_of(options)
        if not 0 <= options.port <= 65535:
            raise ValueError(f"a port is a number from 0 to 65535, not {options.port}")
        certificate = sslContextFromCertPathOrNone(options.ssl_path)
        store = store_named(options)
        server = TcpServer(
            options.host,
            options.port,
            store,
            certificate,
            token,
            memory_max=options.memory_max,
            take_over=options.take_over,
            store_retry_s=options.store_retry,
        )
        serve(server, store, Signals())
    except Stopped:
        say("stopped")
    except (ObjectDatabaseError, ValueError) as error:
        print(f"{prog.removesuffix('.py')}: {error}", file=sys.stderr)
        has_served = isinstance(error, InternalError) or (server is not None and error is server.store_lost)
        return 1 if has_served else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
