"""Small helpers that programs use beside the database: certificates, tokens, logging, text, files."""

from __future__ import annotations

import hashlib
import os
import secrets
from typing import Any

from object_database.util_certificates import (
    CertificateFiles,
    generateSslContext,
    sslContextFromCertPath,
    sslContextFromCertPathOrNone,
)
from object_database.util_logging import (
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
from object_database.util_text import (
    closest_in,
    closest_N_in,
    distance,
    formatTable,
    indent,
    secondsToHumanReadable,
)

__all__ = [
    "DEFAULT_LOGGING_CONFIG",
    "VALID_LOG_LEVELS",
    "CertificateFiles",
    "Timer",
    "closest_N_in",
    "closest_in",
    "configureLogging",
    "distance",
    "formatTable",
    "genToken",
    "generateSslContext",
    "getDirectorySize",
    "getFormatter",
    "indent",
    "logFormat",
    "recursiveUpdate",
    "removeFileIfExists",
    "secondsToHumanReadable",
    "setupLogging",
    "sslContextFromCertPath",
    "sslContextFromCertPathOrNone",
    "tokenFromString",
    "validateLogLevel",
]


def genToken(randomness: Any = None) -> str:
    """A token that cannot be guessed: 256 random bits in hex. `randomness` is ignored; the reference took less."""
    return secrets.token_hex(32)


def tokenFromString(text: str) -> str:
    """The token that belongs to a text: its SHA-256 in hex. It is as easy to guess as the text."""
    return hashlib.sha256(text.encode()).hexdigest()


def removeFileIfExists(path: str | os.PathLike[str]) -> bool:
    """Remove a file. Returns whether there was one. Raises OSError: it cannot be removed."""
    try:
        os.remove(path)
    except FileNotFoundError:
        return False
    return True


def getDirectorySize(path: str | os.PathLike[str]) -> int:
    """Bytes in all files of a folder and of those below it. Links count as themselves and are not followed.

    What vanishes while it is counted is left out. Raises OSError: the folder itself cannot be read.
    """
    total = 0
    with os.scandir(path) as entries:
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    total += getDirectorySize(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:
                continue
    return total
