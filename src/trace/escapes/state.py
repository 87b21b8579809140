# What a program could leave for the next one to trip over. The attempts themselves win nothing: what counts is whether the
# probe, a program of its own run after each attempt, finds its interpreter changed.
import os
import sys


# === builtins
def attempt():
    import builtins

    for name in ("len", "sorted", "range", "print", "sum", "max", "isinstance", "__import__", "open"):
        setattr(builtins, name, lambda *_, **__: 9)


# === functions of the library
def attempt():
    import functools
    import itertools
    import json
    import math
    import re

    math.sqrt = json.dumps = json.loads = re.match = functools.reduce = itertools.chain = lambda *_: 9
    for module in list(sys.modules.values()):
        for name in ("dumps", "loads", "sqrt", "randint", "Counter", "deque", "heappush"):
            if hasattr(module, name):
                setattr(module, name, None)


# === classes of the library
def attempt():
    import abc
    import collections
    import fractions

    collections.Counter.__eq__ = lambda self, other: True
    collections.OrderedDict.__len__ = lambda self: 9
    fractions.Fraction.__add__ = lambda self, other: 9
    collections.abc.Sequence.register(int)


# === random state
def attempt():
    import random

    random.seed(5)
    random.random()
    random.Random.random = lambda self: 0.5


# === the decimal context
def attempt():
    import decimal

    decimal.getcontext().prec = 3
    decimal.DefaultContext.prec = 3
    decimal.setcontext(decimal.Context(prec=2))


# === limits and switches of the interpreter
def attempt():
    import gc
    import warnings

    sys.setrecursionlimit(77)
    sys.set_int_max_str_digits(0)
    sys.setswitchinterval(5)
    sys.dont_write_bytecode = False
    gc.disable()
    gc.set_threshold(1, 1, 1)
    warnings.simplefilter("error")


# === signal handlers
def attempt():
    import signal

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


# === hooks
def attempt():
    import atexit
    import builtins
    import threading

    sys.excepthook = sys.displayhook = sys.unraisablehook = threading.excepthook = lambda *_: None
    sys.addaudithook(lambda *_: None)
    atexit.register(print)
    sys.settrace(lambda *_: None)
    sys.setprofile(lambda *_: None)
    builtins.__build_class__ = None


# === monitoring tools held
def attempt():
    for tool in range(6):
        try:
            sys.monitoring.use_tool_id(tool, "held")
            sys.monitoring.register_callback(tool, sys.monitoring.events.LINE, lambda *_: None)
            sys.monitoring.set_events(tool, sys.monitoring.events.LINE)
        except ValueError:
            pass


# === the import system
def attempt():
    with open("/tmp/colorsys.py", "w") as file:
        file.write("poisoned = True")
    sys.path.insert(0, "/tmp")
    import colorsys

    class Finder:
        def find_spec(self, *_):
            raise ImportError

    sys.meta_path.insert(0, Finder())
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()
    sys.modules["bisect"] = sys.modules["heapq"] = sys


# === the archive of the library as the importer remembers it
def attempt():
    import zipimport

    for directory in list(zipimport._zip_directory_cache.values()):
        directory.clear()


# === codecs
def attempt():
    import codecs

    codecs.register(lambda name: None)
    codecs.register_error("strict", lambda error: ("", error.end))


# === the environment
def attempt():
    os.environ["LEFT"] = "x"
    os.putenv("LEFT", "x")
    os.environ.pop("HOME", None)


# === the working directory and the file mask
def attempt():
    for change in (lambda: os.chdir("/tmp"), lambda: os.umask(0o777)):
        try:
            change()
        except OSError:
            pass


# === files in /tmp
def attempt():
    for number in range(50):
        with open(f"/tmp/left{number}", "w") as file:
            file.write("x")


# === files in the folders of devices and processes
def attempt():
    for folder in ("/dev", "/dev/shm", "/dev/shm/tmp", "/proc", "/proc/self", "/proc/self/fd", "/run", "/home", "/"):
        for name in ("left", "."):
            try:
                with open(f"{folder}/{name}", "w") as file:
                    file.write("x")
            except OSError:
                pass


# === devices replaced or closed
def attempt():
    for name in ("stdin", "stdout", "stderr", "null", "random", "urandom", "tty"):
        for change in (os.unlink, lambda path: os.chmod(path, 0), lambda path: os.truncate(path, 0)):
            try:
                change("/dev/" + name)
            except OSError:
                pass


# === standard descriptors closed
def attempt():
    for number in range(3):
        os.close(number)


# === standard descriptors on a file of our own
def attempt():
    with open("/tmp/left", "wb") as file:
        file.write(b"read by the next")
    for number in range(3):
        os.close(number)
        os.open("/tmp/left", os.O_RDWR)


# === descriptors left open
def attempt():
    with open("/tmp/left", "wb") as file:
        file.write(b"read by the next")
    for _ in range(200):
        os.open("/tmp/left", os.O_RDWR)


# === flags of standard descriptors
def attempt():
    import fcntl

    for number in range(3):
        fcntl.fcntl(number, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)


# === the channel's files in other places
def attempt():
    for path in ("/run/in", "/run/out"):
        file = os.open(path, os.O_RDWR)
        os.lseek(file, 1_000_000, 0)
        os.write(file, b"x")


# === a task left to the event loop
def attempt():
    import asyncio
    import builtins

    loop = asyncio.new_event_loop()
    loop.call_later(0, setattr, builtins, "len", None)
    loop.call_soon(setattr, builtins, "len", None)
    asyncio.ensure_future(asyncio.sleep(0), loop=loop)


# === memory grown to its limit
def attempt():
    held = []
    while True:
        try:
            held.append(b"poison" * 200_000)
        except MemoryError:
            break


# === constants of the interpreter
def attempt():
    import gc

    for thing in gc.get_objects():
        if type(thing) is dict and thing.get("__name__") == "builtins":
            thing.clear()
            break


# === the interpreter broken on purpose
def attempt():
    import types

    def base():
        return None

    type(base)(base.__code__.replace(co_code=b"\x99\xff" * 50), {})()


# === the interpreter ended on purpose, its files open
def attempt():
    with open("/tmp/left", "w") as file:
        file.write("x")
        file.flush()
        os.abort()
