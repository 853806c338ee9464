"""generateSslContext: a certificate in files that are private and vanish. The others are in test_connection.py."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
import sys
from pathlib import Path

from object_database import TcpServer
from object_database.util import generateSslContext


def test_servers_with_one_generated_certificate_show_the_same() -> None:
    context = generateSslContext()
    shown = set()
    for _ in range(2):
        with TcpServer("localhost", 0, None, context, "t") as server:
            server.connect("t").disconnect()
            shown.add(ssl.get_server_certificate(("localhost", server.port)))
    assert shown == {Path(context.certificate_path).read_text()}


def test_each_generated_certificate_is_another_one() -> None:
    first, second = generateSslContext(), generateSslContext()
    assert Path(first.certificate_path).read_bytes() != Path(second.certificate_path).read_bytes()
    assert Path(first.key_path).read_bytes() != Path(second.key_path).read_bytes()


def test_nobody_else_can_read_the_key_whatever_the_umask_is() -> None:
    before = os.umask(0)
    try:
        context = generateSslContext()
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(context.key_path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(context.key_path)).st_mode) == 0o700


def test_the_files_are_gone_with_their_process_and_not_with_its_children() -> None:
    program = """
import os, sys
from object_database.util import generateSslContext
context = generateSslContext()
child = os.fork()
if child == 0:
    sys.exit(0)  # runs the exit handlers it inherited
assert os.waitpid(child, 0)[1] == 0
print(os.path.dirname(context.key_path), *map(os.path.exists, context))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert (ended.returncode, ended.stderr) == (0, "")
    folder, *existed = ended.stdout.split()
    assert existed == ["True", "True"]
    assert not os.path.exists(folder)
