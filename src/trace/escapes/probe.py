# What the next program finds: eight digests of everything that a program before it could have changed.
import hashlib
import os
import sys


def digest(topic, *values):
    return topic + " " + hashlib.sha256(repr(values).encode()).hexdigest()[:12]


def tried(call, *arguments):
    try:
        return repr(call(*arguments))
    except BaseException as error:
        return type(error).__name__ + str(getattr(error, "errno", ""))


def files():
    found = []
    for folder, folders, names in os.walk("/"):
        folders.sort()
        for name in sorted(folders + names):
            path = os.path.join(folder, name)
            # The channel's own files hold this program's request.
            size = not path.startswith("/run")
            found.append((path, tried(lambda: (os.lstat(path).st_mode, size and os.lstat(path).st_size))))
    return found


def library():
    with open("/lib/python314.zip", "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def descriptors():
    found = []
    for number in range(64):
        found.append(tried(lambda: (os.fstat(number).st_mode, os.fstat(number).st_size, os.get_blocking(number))))
        found.append(tried(os.lseek, number, 0, 0) + tried(os.read, number, 64))
    return found


def library_modules():
    import collections
    import decimal
    import functools
    import heapq
    import json
    import math
    import random
    import re

    return [
        tried(lambda: (len([1, 2]), sorted([2, 1]), sum([1, 2]), isinstance(1, int), list(range(3)))),
        tried(lambda: (math.sqrt(4), json.dumps([1]), json.loads("[2]"), functools.reduce(max, [1, 3]))),
        tried(lambda: (bool(re.match("a", "ab")), collections.Counter("aa") == collections.Counter("ab"))),
        tried(lambda: (len(collections.OrderedDict(a=1)), issubclass(int, collections.abc.Sequence))),
        tried(lambda: (decimal.Decimal(1) / 3, decimal.DefaultContext.prec, heapq.nsmallest(1, [2, 1]))),
        tried(lambda: (random.random(), random.randint(1, 1000), random.Random(3).random())),
        tried(lambda: b"\xff".decode()),
        tried(lambda: __import__("colorsys").rgb_to_hsv(1, 0, 0)),
    ]


def interpreter():
    import gc
    import signal
    import threading
    import warnings

    return [
        sys.getrecursionlimit(), sys.get_int_max_str_digits(), sys.getswitchinterval(), sys.dont_write_bytecode,
        gc.isenabled(), gc.get_threshold(), len(gc.callbacks), len(warnings.filters), threading.active_count(),
        [tried(signal.getsignal, number) for number in (2, 14, 15)],
        [hook.__name__ for hook in (sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook)],
        tried(sys.gettrace), tried(sys.getprofile), [tried(sys.monitoring.get_tool, tool) for tool in range(6)],
        os.getcwd(), sorted(os.environ.items()),
    ]


def imports():
    return [sys.path, [str(finder) for finder in sys.meta_path], len(sys.path_hooks), sorted(sys.path_importer_cache),
            sorted(sys.modules), [sys.modules[name].__name__ for name in ("bisect", "heapq", "json")]]


def attempt():
    import builtins

    addresses = [id(object()), id([]), id(attempt), id(bytes(100_000))]
    return [
        digest("files", files()),
        digest("library", library()),
        digest("descriptors", descriptors()),
        digest("builtins", [(name, id(value)) for name, value in vars(builtins).items()]),
        digest("modules", library_modules()),
        digest("interpreter", interpreter()),
        digest("imports", imports()),
        digest("addresses", addresses),
    ]
