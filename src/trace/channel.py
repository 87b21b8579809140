# The engine's own request, progress and answer.
import json
import os
from json.encoder import encode_basestring_ascii as _quote

# Kept before any program could replace them in their modules.
_open, _write, _close, _anew = os.open, os.write, os.close, os.O_WRONLY | os.O_TRUNC


def read_request():
    """The request, and nothing left of it: it holds the expected values and the word progress lines start with."""
    with open("/run/in", encoding="utf-8") as file:
        request = json.load(file)
    _close(_open("/run/in", _anew))
    return request


def write_answer(answer):
    body = to_json(answer).encode()
    file = _open("/run/out", _anew)
    while body:
        body = body[_write(file, body):]
    _close(file)


def progress(nonce):
    """A function that writes progress lines; without a nonce they go nowhere."""
    def write(what):
        if nonce is not None:
            _write(1, (nonce + to_json(what) + "\n").encode())

    return write


def to_json(value):
    """The json module belongs to the programs too, and one could make it say anything."""
    t = type(value)
    if t is str:
        return _quote(value)
    if value is None or t is bool:
        return {None: "null", True: "true", False: "false"}[value]
    if t is int or t is float:
        return repr(value) if value == value and value not in (1e999, -1e999) else "null"
    if t is list or t is tuple:
        return "[" + ",".join([to_json(item) for item in value]) + "]"
    return "{" + ",".join([_quote(key) + ":" + to_json(item) for key, item in value.items()]) + "}"
