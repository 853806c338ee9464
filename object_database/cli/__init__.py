"""The command odb: what is done with a store beside serving it.

Each command is a function of this package that gets the parsed options and returns the exit code:
0 done, 1 `check` has findings or `schema diff` a refusal, 2 not done, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from object_database import __version__
from object_database.cli.checking import check
from object_database.cli.copying import backup, restore
from object_database.cli.lines import export_lines, import_lines
from object_database.cli.schemas import diff, drop, show
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
  odb schema diff --server localhost:8000 --service-token TOKEN shop.schemas
  odb --data-dir /var/lib/odb schema drop shop.Order.note
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
    _add_schema_commands(add("schema", "tell what is known of types, and take it out").add_subparsers, where)
    add("check", "look for damage: exit code 1 when there is some").set_defaults(run=check)
    add("stats", "tell what is in the store").set_defaults(run=stats)
    commands.add_parser("serve", help="serve the store over TLS: odb serve --help", add_help=False)
    return made


def _add_schema_commands(add_subparsers: Any, where: str) -> None:
    commands = add_subparsers(dest="schema_command", metavar="COMMAND", required=True)

    def add(name: str, words: str, has_server: bool) -> argparse.ArgumentParser:
        each: argparse.ArgumentParser = commands.add_parser(
            name, help=words, description=words[:1].upper() + words[1:] + ".", argument_default=argparse.SUPPRESS
        )
        add_store_options(each.add_argument_group(where))
        if has_server:
            server = each.add_argument_group("instead of a store, a server that runs")
            server.add_argument("--server", metavar="HOST:PORT", default=None, help="which is asked like by any client")
            server.add_argument("--service-token", metavar="TOKEN", default=None, help="what its clients must know")
            server.add_argument("--service-token-file", metavar="FILE", default=None, help="file with the token")
        return each

    made_show = add("show", "tell the types that are known, with fields and indexes", True)
    made_show.add_argument("name", metavar="NAME", nargs="?", default=None, help="a schema or schema.Type alone")
    made_show.set_defaults(run=show)
    made_diff = add("diff", "tell what a program's schema would change: exit code 1 when something is refused", True)
    made_diff.add_argument("module", metavar="MODULE[:SCHEMA]", help="where the schema is, as for import")
    made_diff.set_defaults(run=diff)
    made_drop = add("drop", "take a type, field or index out of a store that no server has", False)
    made_drop.add_argument("name", metavar="SCHEMA.TYPE[.FIELD|.INDEX]", help="its objects or values go with it")
    which = made_drop.add_mutually_exclusive_group()
    which.add_argument("--field", action="store_true", default=False, help="the field, where an index has its name too")
    which.add_argument("--index", action="store_true", default=False, help="the index alone")
    made_drop.add_argument("--yes", action="store_true", default=False, help="do not ask")
    made_drop.set_defaults(run=drop)


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
