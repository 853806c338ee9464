"""How a program writes its log, and how long things take. Public as object_database.util."""

from __future__ import annotations

import functools
import logging
import time
import types
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from object_database.errors import InvalidArgumentError

__all__ = [
    "DEFAULT_LOGGING_CONFIG",
    "VALID_LOG_LEVELS",
    "Timer",
    "configureLogging",
    "getFormatter",
    "logFormat",
    "recursiveUpdate",
    "setupLogging",
    "validateLogLevel",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")

VALID_LOG_LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


def validateLogLevel(level: str, fallback: str | None = None) -> str:
    """The name of a level in capitals, as logging wants it.

    Args:    level: a name of VALID_LOG_LEVELS in any case.  fallback: what to use instead of a level that is none.
    Raises:  InvalidArgumentError: it is no level and there is no fallback, or the fallback is none either.
    """
    for candidate in (level, fallback):
        if isinstance(candidate, str) and candidate.upper() in VALID_LOG_LEVELS:
            return candidate.upper()
    raise InvalidArgumentError(f"a log level is one of {', '.join(VALID_LOG_LEVELS)}; {level!r} was given")


def logFormat(preamble: str = "") -> str:
    """The format of a line of the log: time, level, place, then the preamble and the message."""
    literally = preamble.replace("%", "%%")  # a format goes through %
    return f"%(asctime)s %(levelname)-8s %(filename)s:%(lineno)d {literally and literally + ' '}%(message)s"


def getFormatter(preamble: str = "") -> logging.Formatter:
    """A formatter of logFormat(preamble), for handlers of one's own."""
    return logging.Formatter(logFormat(preamble))


# What setupLogging starts from: everything from INFO on goes to stderr. A dict as logging.config.dictConfig takes it.
DEFAULT_LOGGING_CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"default": {"format": logFormat()}},
    "handlers": {"default": {"class": "logging.StreamHandler", "formatter": "default"}},
    "root": {"level": "INFO", "handlers": ["default"]},
}


def setupLogging(
    config: Mapping[str, Any] | None = None,
    default_level: int | str | None = None,
    default_format: str | None = None,
    updates: Mapping[str, Any] | None = None,
) -> None:
    """Configure the logging of this process.

    Args:    config: as of logging.config.dictConfig; DEFAULT_LOGGING_CONFIG by default. It is not changed.
             default_level: level of the root logger.  default_format: of the formatter named "default".
             updates: parts of a config that are merged into it at the end.
    Raises:  ValueError: what dictConfig says of a config it cannot take.
    """
    from logging.config import dictConfig  # most programs that import this package log without it

    wanted = recursiveUpdate({}, DEFAULT_LOGGING_CONFIG if config is None else config)
    if default_level is not None:
        recursiveUpdate(wanted, {"root": {"level": default_level}})
    if default_format is not None:
        recursiveUpdate(wanted, {"formatters": {"default": {"format": default_format}}})
    dictConfig(recursiveUpdate(wanted, updates or {}))


def configureLogging(
    preamble: str = "", level: int | str = logging.INFO, config_updates: Mapping[str, Any] | None = None
) -> None:
    """Log to stderr from `level` on, with `preamble` in each line. Arguments as of logFormat and setupLogging."""
    setupLogging(default_level=level, default_format=logFormat(preamble), updates=config_updates)


def recursiveUpdate(target: dict[Any, Any], updates: Mapping[Any, Any]) -> dict[Any, Any]:
    """Merge `updates` into `target`, mappings within mappings too, and return it. Other values are replaced."""
    for key, value in updates.items():
        if isinstance(value, Mapping):
            below = target.get(key)
            target[key] = recursiveUpdate(below if isinstance(below, dict) else {}, value)
        else:
            target[key] = value
    return target


_now = time.monotonic
_REPORTED_S = 0.1  # what is quicker than this is not worth a line


class Timer:
    """Logs how long something took, at INFO, if it was more than 0.1 s. A context manager and a decorator.

        with Timer("loading %s", path):
        @Timer("indexing")

    Args: message, args: as of logging.info. An argument that is a function is called when the line is written, for what
          is known only at the end.
    """

    def __init__(self, message: str, *args: Any):
        self.message = message
        self.args = args
        self._started: list[float] = []  # a stack: one Timer may be entered again inside of itself

    def __enter__(self) -> Timer:
        self._started.append(_now())
        return self

    def __exit__(self, *exception: object) -> None:
        took_s = _now() - self._started.pop()
        if took_s > _REPORTED_S:
            known = [arg() if isinstance(arg, types.FunctionType) else arg for arg in self.args]
            message = (
                self.message if known else self.message.replace("%", "%%")
            )  # as in logging, where no args mean no %
            logging.getLogger(__name__).info(f"{message} took %.3f seconds", *known, took_s)

    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def timed(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            with Timer(self.message, *self.args):
                return function(*args, **kwargs)

        return timed
