"""The command odb: what is done with a store beside serving it.

Each command is a function of this package that gets the parsed options and returns the exit code:
0 done, 1 `check` has findings, 2 not done, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from object_database import __version__
from object_database.cli.checking import check
from object_database.cli.copying import backup, restore
from object_database.cli.lines import export_lines, import_lines
from object_database.cli.stats import stats
from object_database.errors import ObjectDatabaseError
from object_database.frontends import database_server
from object_database.store_options import add_store_options

__all__ = ["main", "parser"]

EXAMPLES = """\
examples:
  odb --data-dir /var/lib/odb backup monday.sqlite
  odb --data-dir /var/lib/odb2 restore monday.sqlite
  odb --redis-url redis://localhost:6379/0 export - | gzip > objects.jsonl.gz
  odb --data-dir /var/lib/odb check
  odb serve --service-token TOKEN --data-dir /var/lib/odb localhost 8000
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="odb",
        description="Work with the store of an object database; a server may be using it, unless said otherwise.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = "where objects live (without any of these: redis on this machine, port 6379)"
    add_store_options(made.add_argument_group(where))
    made.add_argument("--version", action="version", version=f"object_database {__version__}")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, words: str) -> argparse.ArgumentParser:
        # The same options once more behind the command; what is not given there leaves alone what was given before it.
        each = commands.add_parser(
            name, help=words, description=words[:1].upper() + words[1:] + ".", argument_default=argparse.SUPPRESS
        )
        add_store_options(each.add_argument_group(where))
        return each

    made_backup = add("backup", "copy the store, as it is at one transaction, into an SQLite file")
    made_backup.add_argument("dest", metavar="DEST", type=Path, help="the file, which appears whole or not at all")
    made_backup.set_defaults(run=backup)
    made_restore = add("restore", "put a backup, or any SQLite store, into a store that no server has")
    made_restore.add_argument("source", metavar="SOURCE", type=Path, help="the file that backup wrote")
    made_restore.set_defaults(run=restore)
    made_export = add("export", "write the store, as it is at one transaction, as JSON lines")
    made_export.add_argument("file", metavar="FILE", help="which appears whole or not at all; - for stdout")
    made_export.set_defaults(run=export_lines)
    made_import = add("import", "put exported lines into a store that no server has")
    made_import.add_argument("file", metavar="FILE", help="that export wrote; - for stdin")
    made_import.set_defaults(run=import_lines)
    for each, what in (
        (made_backup, "a file that is there already"),
        (made_export, "a file that is there already"),
        (made_restore, "everything in a store that is not empty"),
        (made_import, "everything in a store that is not empty"),
    ):
        each.add_argument("--overwrite", action="store_true", default=False, help=f"replace {what}")
    add("check", "look for damage: exit code 1 when there is some").set_defaults(run=check)
    add("stats", "tell what is in the store").set_defaults(run=stats)
    commands.add_parser("serve", help="serve the store over TLS: odb serve --help", add_help=False)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["serve"]:
        return database_server.main(words[1:], prog="odb serve")
    options = parser().parse_args(words)
    if options.command == "serve":
        return refused("serve", "the options of serve stand behind the word: odb serve --data-dir DIR ...")
    signal.signal(signal.SIGTERM, _stop)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        print(f"odb {options.command}: stopped; what it writes is there as a whole, or not at all", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return refused(options.command, "nobody reads what it writes any more")
    except OSError as error:
        return refused(options.command, f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (ObjectDatabaseError, ValueError) as error:
        return refused(options.command, str(error))


def refused(command: str, why: str) -> int:
    print(f"odb {command}: {why}", file=sys.stderr)
    return 2


def _stop(*_: object) -> None:
    raise KeyboardInterrupt
