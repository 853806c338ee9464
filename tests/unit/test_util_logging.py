"""Logging of object_database.util: levels, formats, configurations, timers."""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Iterator

import pytest

from object_database import util_logging
from object_database.errors import InvalidArgumentError
from object_database.util import (
    DEFAULT_LOGGING_CONFIG,
    VALID_LOG_LEVELS,
    Timer,
    configureLogging,
    getFormatter,
    logFormat,
    recursiveUpdate,
    setupLogging,
    validateLogLevel,
)


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """The root logger, which is as it was before when the test ends."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def line_of(formatter: logging.Formatter) -> str:
    record = logging.LogRecord("name", logging.WARNING, "/a/file.py", 7, "%d%% done", (50,), None)
    return formatter.format(record)


# ---- levels and formats


@pytest.mark.parametrize("level", VALID_LOG_LEVELS)
def test_a_level_is_taken_in_any_case(level: str) -> None:
    assert validateLogLevel(level) == validateLogLevel(level.lower(), "DEBUG") == level
    assert isinstance(getattr(logging, level), int)


@pytest.mark.parametrize("level", ["LOUD", "", None, 10])
def test_a_level_that_is_none_is_refused_or_replaced(level: str) -> None:
    assert validateLogLevel(level, fallback="info") == "INFO"
    with pytest.raises(InvalidArgumentError, match=r"one of DEBUG, INFO, WARNING, ERROR, CRITICAL; .* was given"):
        validateLogLevel(level)
    with pytest.raises(InvalidArgumentError):
        validateLogLevel(level, fallback="loud")


def test_a_line_tells_when_how_bad_where_who_and_what() -> None:
    assert line_of(getFormatter()).endswith(" WARNING  file.py:7 50% done")
    assert line_of(getFormatter("worker 3:")).endswith(" WARNING  file.py:7 worker 3: 50% done")
    assert line_of(logging.Formatter(logFormat("100%s"))).endswith(" 100%s 50% done")
    assert line_of(getFormatter())[:2] == "20"  # the year


# ---- configurations


def test_updates_are_merged_at_every_depth() -> None:
    target = {"a": 1, "b": {"c": 2, "d": {"e": 3}}, "f": 4}
    assert recursiveUpdate(target, {"b": {"d": {"e": 5, "g": 6}}, "f": {"h": 7}, "i": {}}) is target
    assert target == {"a": 1, "b": {"c": 2, "d": {"e": 5, "g": 6}}, "f": {"h": 7}, "i": {}}


def test_logging_goes_to_stderr_with_the_preamble(
    root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    configureLogging("worker 3:")
    logging.getLogger("some.where").debug("too quiet")
    logging.getLogger("some.where").info("hello %s", "you")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith("worker 3: hello you\n")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("level", ["DEBUG", logging.DEBUG])
def test_the_level_is_a_name_or_a_number(root_logger: logging.Logger, level: int | str) -> None:
    configureLogging(level=level)
    assert root_logger.level == logging.DEBUG
    with pytest.raises(ValueError):
        configureLogging(level="LOUD")


def test_updates_of_the_configuration_are_the_last_word(
    root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    before = copy.deepcopy(DEFAULT_LOGGING_CONFIG)
    configureLogging(config_updates={"handlers": {"default": {"stream": sys.stdout}}, "root": {"level": "ERROR"}})
    logging.warning("too quiet")
    logging.error("loud")
    assert capsys.readouterr().out.endswith(" loud\n")
    assert before == DEFAULT_LOGGING_CONFIG


def test_a_configuration_of_ones_own_is_used_and_not_changed(root_logger: logging.Logger) -> None:
    config = {"version": 1, "disable_existing_loggers": False, "root": {"level": "ERROR", "handlers": []}}
    before = copy.deepcopy(config)
    setupLogging(config)
    assert root_logger.level == logging.ERROR
    setupLogging(config, default_level="WARNING", default_format="%(message)s", updates={"root": {"handlers": []}})
    assert root_logger.level == logging.WARNING
    assert config == before
    setupLogging(default_format="only %(message)s")
    assert line_of(root_logger.handlers[0].formatter or logging.Formatter()) == "only 50% done"


# ---- timers


class Clock:
    """Says how late it is when it is asked, as often as it is asked."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    made = Clock()
    monkeypatch.setattr(util_logging, "_now", made)
    caplog.set_level(logging.INFO)
    return made


def test_a_timer_says_what_took_long(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    count = 0
    with Timer("loading %s, %d objects", "file", lambda: count):
        clock.now += 1.5
        count = 7
    assert caplog.messages == ["loading file, 7 objects took 1.500 seconds"]
    assert caplog.records[0].levelno == logging.INFO


def test_a_timer_says_nothing_of_what_was_quick(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with Timer("quick"):
        clock.now += 0.099
    assert caplog.messages == []
    with Timer("100% slow"):
        clock.now += 0.11
    assert caplog.messages == ["100% slow took 0.110 seconds"]


def test_a_timer_reports_what_failed_too_and_lets_it_fail(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError):
        with Timer("work"):
            clock.now += 1
            1 / 0
    assert caplog.messages == ["work took 1.000 seconds"]


def test_a_timer_is_a_decorator_also_of_functions_that_call_themselves(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    @Timer("work")
    def work(depth: int, *, result: str) -> str:
        """Documented."""
        if depth:
            work(depth - 1, result="")
        clock.now += 1
        return result

    assert work(1, result="done") == "done"
    assert (work.__name__, work.__doc__) == ("work", "Documented.")
    assert caplog.messages == ["work took 1.000 seconds", "work took 2.000 seconds"]


def test_one_timer_may_be_entered_inside_of_itself(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    timer = Timer("part")
    with timer:
        clock.now += 1
        with timer:
            clock.now += 2
    assert caplog.messages == ["part took 2.000 seconds", "part took 3.000 seconds"]
