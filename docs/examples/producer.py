#!/usr/bin/env python3
"""Create one Message a second: `producer.py [HOST] [PORT] [TOKEN]`. Waits for the server; Ctrl-C ends it."""

import sys
import time

from object_database import DisconnectedException, Schema, connect

schema = Schema("message_board")


@schema.define
class Message:
    timestamp = float
    message = str


def main(host: str = "localhost", port: str = "8000", token: str = "TOKEN") -> None:
    with connect(host, int(port), token, timeout=3600.0, retry=True) as db:
        db.subscribeToSchema(schema)
        number = 0
        while True:
            with db.transaction():
                Message(timestamp=time.time(), message=f"message_{number}")
            number += 1
            time.sleep(1.0)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
    except DisconnectedException as error:
        sys.exit(f"producer: {error}")
