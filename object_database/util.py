"""Small helpers that programs use beside the database."""

from __future__ import annotations

import os
import secrets
from typing import NamedTuple

from object_database.errors import InvalidArgumentError

__all__ = ["CertificateFiles", "genToken", "sslContextFromCertPath", "sslContextFromCertPathOrNone"]


class CertificateFiles(NamedTuple):
    """Where a server's certificate and private key are, both PEM (D32)."""

    certificate_path: str
    key_path: str


def sslContextFromCertPath(cert_path: str, key_path: str | None = None) -> CertificateFiles:
    """The certificate of a server, for TcpServer(ssl_context=...).

    Args:    key_path: by default the certificate's path with the ending .key.
    Raises:  InvalidArgumentError: a file is missing.
    """
    found = CertificateFiles(cert_path, key_path or os.path.splitext(cert_path)[0] + ".key")
    for what, path in zip(("certificate", "private key"), found, strict=True):
        if not os.path.isfile(path):
            raise InvalidArgumentError(f"the {what} {path!r} does not exist or is not a file")
    return found


def sslContextFromCertPathOrNone(cert_path: str | None = None) -> CertificateFiles | None:
    """As sslContextFromCertPath; None, for a certificate made by the server, when no path is given."""
    return None if cert_path is None else sslContextFromCertPath(cert_path)


def genToken() -> str:
    """A token that cannot be guessed: 256 random bits in hex."""
    return secrets.token_hex(32)
