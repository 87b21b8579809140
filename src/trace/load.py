# From a program's text to what the tests call; or, for programs that read and print, one run of the whole text.
import atexit
import sys
import types

from etalon_channel import send

FILE = "<program>"
METHOD_IMPORTS = """import bisect, collections, copy, datetime, functools, heapq, itertools, math, operator, random, re, string, sys
from bisect import *
from collections import *
from functools import *
from heapq import *
from itertools import *
from math import *
from typing import *
"""


def load(session, operation):
    """
    Compiles the program and, unless it is to be run as a whole, executes it and the row's set-up code around it.
    -> {entry, names}: the function under test (None: there is none) and those of the wanted names that exist now.
    """
    request = session.request
    session.stage = "syntax"
    session.code = compile(request["program"], FILE, "exec", dont_inherit=True)
    session.stage = "load"
    session.counter.watch(session.code)
    if request["testKind"] == "stdio":
        return {}
    space = session.space = new_space("candidate")
    if request.get("isMethod"):
        exec(METHOD_IMPORTS, space)
    if request.get("preCode"):
        exec(compile(request["preCode"], "<pre>", "exec"), space)
    session.hidden = frozenset(space)
    if session.tracer is not None:
        session.tracer.hidden = session.hidden
    exec(session.code, space)
    if request.get("testSetup"):
        # It builds on the program's classes: that they are missing or fail is the program's failure.
        exec(compile(request["testSetup"], "<setup>", "exec"), space)
    names = [name for name in operation["names"] if name in space]
    return {"entry": resolve(request, space), "names": {name: space[name] for name in names}}


def run_module(session, operation):
    """One run of the whole program with the operation's standard input -> what it printed."""
    session.out.parts = []
    send("I" + operation["stdin"])  # for those that read descriptor 0 themselves
    try:
        space = new_space("__main__")
        space["__file__"] = FILE
        exec(session.code, space)
    except SystemExit:
        pass  # the ordinary end of many programs
    atexit._run_exitfuncs()
    if sys.stdout is not session.out:
        sys.stdout.flush()  # a wrapper of the program's own
    return session.out.text()


def new_space(name):
    module = types.ModuleType(name)
    sys.modules[name] = module  # dataclasses and pickling look their module up
    module.__dict__["__builtins__"] = sys.modules["builtins"]
    return module.__dict__


def resolve(request, space):
    name = request["entryPoint"]
    if request.get("isMethod"):
        owner = space.get("Solution")
        return None if owner is None else getattr(owner(), name, None)
    function = space.get(name)
    return function if callable(function) else None
