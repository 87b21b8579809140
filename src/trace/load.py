# From a program's text to the function its tests call.
import sys
import types

from etalon_run import FILE

METHOD_IMPORTS = """import bisect, collections, copy, datetime, functools, heapq, itertools, math, operator, random, re, string, sys
from bisect import *
from collections import *
from functools import *
from heapq import *
from itertools import *
from math import *
from typing import *
"""


def load(run, code):
    """Runs the module body and the row's setup code; False if the program failed at that."""
    space = run.space = new_space("candidate")
    if run.request.get("isMethod"):
        exec(METHOD_IMPORTS, space)
    if run.request.get("preCode"):
        exec(compile(run.request["preCode"], "<pre>", "exec"), space)
    run.hidden = frozenset(space)
    trace_load = run.target is not None and run.target.get("load")
    tracer = run.tracer(full=True) if trace_load else None
    try:
        if tracer is not None:
            tracer.start()
        exec(code, space)
        if run.request.get("testSetup"):
            # It builds on the program's classes: that they are missing or fail is the program's failure.
            exec(compile(run.request["testSetup"], "<setup>", "exec"), space)
        run.function = resolve(run, space)
    except BaseException as error:
        failed_load(run, *run.classify(error, run.counter.exceeded))
    finally:
        if tracer is not None:
            run.end_trace(tracer)
    if run.verdict is None and (run.counter.exceeded or run.out.exceeded):
        failed_load(run, *run.classify(None, run.counter.exceeded))
    if run.verdict is not None:
        return False
    if run.function is None:
        what = "Solution." if run.request.get("isMethod") else ""
        failed_load(run, "missing_entry", {"type": "NameError", "line": None,
                                          "message": f"name '{what}{run.entry}' is not defined"})
        return False
    run.counter.reset()
    run.say({"loaded": True})
    return True


def failed_load(run, verdict, details):
    run.stage = "load"
    run.verdict = "load_error" if verdict in ("runtime_error", "assertion_error") else verdict
    run.error = details


def new_space(name):
    module = types.ModuleType(name)
    sys.modules[name] = module  # dataclasses and pickling look their module up
    module.__dict__["__builtins__"] = sys.modules["builtins"]
    module.__dict__["__file__"] = FILE
    return module.__dict__


def resolve(run, space):
    if run.request.get("isMethod"):
        owner = space.get("Solution")
        if owner is None:
            return None
        return getattr(owner(), run.entry, None)
    function = space.get(run.entry)
    return function if callable(function) else None
