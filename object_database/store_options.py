"""How a command line names a store: the same for the server and for the tools."""

from __future__ import annotations

import argparse
from pathlib import Path

from object_database.persistence import Persistence, RedisPersistence, SqlitePersistence
from object_database.persistence_sqlite import FILE_NAME
from object_database.store_keeper import RETRY_S

__all__ = ["add_store_options", "is_default_store", "store_of"]


def add_store_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--data-dir", metavar="DIR", type=_directory, help=f"in a file in this directory, {FILE_NAME}")
    group.add_argument("--redis_host", metavar="HOST", help="in redis on this host")
    group.add_argument("--redis_port", metavar="PORT", type=int, help="in redis on this port")
    group.add_argument(
        "--redis-url",
        metavar="URL",
        help="in redis: redis://user:password@host:port/db, rediss:// for TLS, unix:// for a socket",
    )
    group.add_argument(
        "--redis-min-replicas",
        metavar="N",
        type=int,
        help="acknowledge nothing before so many replicas of that redis have it; 0 without this",
    )


def _directory(text: str) -> Path:
    """An empty word is a variable of a shell that is not set, and not the folder in which somebody happens to be."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return Path(text)


def is_default_store(options: argparse.Namespace) -> bool:
    """Whether nobody said where objects live: redis on this machine, then."""
    named = (options.data_dir, options.redis_host, options.redis_port, options.redis_url)
    return all(each is None for each in named)


def store_of(
    options: argparse.Namespace,
    must_exist: bool = False,
    retry_s: float = RETRY_S,
    default_port: int | None = None,
) -> Persistence:
    """The store that the options name. Raises ValueError with a sentence for the user.

    Args: must_exist: a --data-dir that is not there is an error; else who opens the store makes it.
          retry_s: how long it is tried again when it does not answer.  default_port: of a redis whose port nobody named.
    """
    has_redis = any(each is not None for each in (options.redis_host, options.redis_port, options.redis_url))
    if options.redis_host == "" or options.redis_url == "":
        raise ValueError("--redis_host or --redis-url is empty: leave it out, or name a redis")
    if options.data_dir is not None:
        if has_redis or options.redis_min_replicas is not None:
            raise ValueError("objects live in one place: --data-dir or redis, not both")
        if must_exist and not options.data_dir.is_dir():
            raise ValueError(f"there is no directory {options.data_dir}")
        return SqlitePersistence(str(options.data_dir / FILE_NAME), busy_s=retry_s)
    if options.redis_url is not None:
        if options.redis_host is not None or options.redis_port is not None:
            raise ValueError("give --redis-url, or --redis_host and --redis_port, not both")
        return RedisPersistence(url=options.redis_url, retry_s=retry_s, min_replicas=options.redis_min_replicas or 0)
    port = default_port if options.redis_port is None else options.redis_port
    return RedisPersistence(
        host=options.redis_host, port=port, retry_s=retry_s, min_replicas=options.redis_min_replicas or 0
    )
