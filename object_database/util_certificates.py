"""Certificates of servers, as files (D32). Public as object_database.util."""

from __future__ import annotations

import atexit
import os
from typing import NamedTuple

from object_database import _core
from object_database.errors import InvalidArgumentError

__all__ = ["CertificateFiles", "generateSslContext", "sslContextFromCertPath", "sslContextFromCertPathOrNone"]


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


def generateSslContext() -> CertificateFiles:
    """A fresh self-signed certificate for localhost, for TcpServer(ssl_context=...).

    Its files are readable by this user only and are gone when the process that made them ends. TcpServer(ssl_context=None)
    makes the same kind of certificate without files; this is for several servers that should show one and the same.
    """
    import tempfile  # 10 ms that few programs need

    certificate_pem, key_pem = _core.make_certificate()
    folder = tempfile.mkdtemp(prefix="object_database-")  # of mode 0700
    atexit.register(_remove_unless_forked, folder, os.getpid())
    made = CertificateFiles(os.path.join(folder, "server.cert"), os.path.join(folder, "server.key"))
    for path, pem in zip(made, (certificate_pem, key_pem), strict=True):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
    return made


def _remove_unless_forked(folder: str, owner_pid: int) -> None:
    """A forked child inherits the exit handlers of its parent, who still needs the files."""
    if os.getpid() == owner_pid:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
