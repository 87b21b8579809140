# Runs once in a new interpreter, before its heap is kept as the image every program starts from: loads the library
# modules programs use, removes every module that leads to JavaScript, and loads the harness.
import sys


def _boot():
    import builtins
    import importlib
    import json
    import types

    # Imported now, a module costs nothing later: importing one anew in a cold interpreter takes up to a second.
    for name in (
        "_ast_unparse abc ast array base64 bisect calendar cmath collections collections.abc contextlib copy csv dataclasses datetime "
        "decimal difflib dis enum fractions functools glob hashlib heapq inspect io itertools json keyword linecache math "
        "numbers operator os os.path pprint queue random re secrets statistics string struct textwrap threading time "
        "traceback types typing unicodedata unittest uuid warnings weakref zlib"
    ).split():
        try:
            importlib.import_module(name)
        except ImportError:
            pass

    # Only CPython's own three finders stay; Pyodide's lead to JavaScript modules.
    sys.meta_path[:] = [finder for finder in sys.meta_path
                        if isinstance(finder, type) and finder.__module__.startswith("_frozen_importlib")]
    sys.excepthook = sys.__excepthook__
    barred = ("js", "pyodide_js", "_pyodide", "pyodide", "_pyodide_core", "pyodide_py", "webbrowser")
    for name in list(sys.modules):
        if name.split(".")[0] in barred:
            module = sys.modules.pop(name)
            # Not merely unreachable by name: whoever still holds the module finds it empty.
            if isinstance(module, types.ModuleType) and name != "_pyodide_core":
                module.__dict__.clear()
    for name in ("js", "pyodide_js", "pyodide", "_pyodide", "_pyodide_core", "ctypes", "_ctypes", "_testcapi",
                 "_testinternalcapi", "_testlimitedcapi", "_remote_debugging", "_xxsubinterpreters", "_interpreters"):
        sys.modules[name] = None

    import asyncio  # Pyodide replaces parts of it by an event loop of the page
    import time

    def sleep(seconds):
        # Virtual: the clock moves whenever it is read, nobody has to wait for it.
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")

    time.sleep = sleep
    import random

    random.seed(0)
    sys.setrecursionlimit(1010)  # a thousand for the program, as it has natively, and our own frames below and above
    sys.dont_write_bytecode = True
    sys.path[:] = [path for path in sys.path if path.startswith("/lib")]

    with open("/run/sources") as file:
        sources = json.load(file)
    for name in sources:
        module = types.ModuleType("etalon_" + name)
        # Builtins of its own, so that a program's patched `len` stays the program's problem. Each module has others:
        # a program does get hold of the objects it prints to and is counted by, and through them of their modules.
        module.__dict__["__builtins__"] = dict(vars(builtins))
        sys.modules["etalon_" + name] = module
        exec(compile(sources[name], "<etalon " + name + ">", "exec"), module.__dict__)
    sys.modules["etalon_virtual_loop"].install()
    sys.addaudithook(sys.modules["etalon_counter"].hear_exec)
    with open("/run/entry", "w") as file:
        file.write(str(id(sys.modules["etalon_harness"].main)))  # JavaScript calls it by its address
    # The modules know each other by now; no program shall come to them by name.
    for name in list(sys.modules):
        if name.startswith("etalon_"):
            del sys.modules[name]
    import gc

    gc.collect()
    gc.freeze()  # a collection during a program then looks at that program's objects only


_boot()
