# The port: a descriptor that is no file. JavaScript puts a request there before it calls, and takes each write as one
# message.
import os

PORT = 1000
_read, _write = os.read, os.write  # kept before any program could replace them


def receive():
    parts = []
    while part := _read(PORT, 1 << 16):
        parts.append(part)
        if len(part) < 1 << 16:
            break
    return b"".join(parts).decode("utf-8", "surrogatepass")


def send(text):
    _write(PORT, text.encode("utf-8", "surrogatepass"))
