#!/usr/bin/env python3
"""Print every Message in order, then each new one: `consumer.py [HOST] [PORT] [TOKEN]`. Waits for the server; Ctrl-C
ends it."""

import sys

from object_database import DisconnectedException, Schema, connect

schema = Schema("message_board")


@schema.define
class Message:
    timestamp = float
    message = str


def main(host: str = "localhost", port: str = "8000", token: str = "TOKEN") -> None:
    with connect(host, int(port), token, timeout=3600.0, retry=True) as db:
        db.subscribeToSchema(schema)
        seen: set[Message] = set()

        def show_new() -> bool:
            new = [message for message in Message.lookupAll() if message not in seen]
            for timestamp, text in sorted((message.timestamp, message.message) for message in new):
                print((text, timestamp), flush=True)
            seen.update(new)
            return False  # never enough: look again when something has arrived

        db.waitForCondition(show_new)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
    except DisconnectedException as error:
        sys.exit(f"consumer: {error}")
