# Ways from Python into JavaScript: the bridge modules, objects of the bridge left in memory, and the C functions behind it.
import sys
from importlib.machinery import ModuleSpec

BRIDGE = ("js", "pyodide_js", "pyodide", "_pyodide", "_pyodide_core", "ctypes", "_ctypes")


def unbar():
    """A module barred by None in sys.modules is found again without it."""
    for name in list(sys.modules):
        if name.split(".")[0] in BRIDGE:
            del sys.modules[name]


def subclasses(top):
    seen, open_ = set(), [top]
    while open_:
        for kind in type.__subclasses__(open_.pop()):
            if kind not in seen:
                seen.add(kind)
                open_.append(kind)
    return seen


def attributes(name):
    """Every object with that attribute that the collector knows."""
    import gc

    return [thing for thing in gc.get_objects() if name in getattr(thing, "__dict__", ())]


# === import js
def attempt():
    import js

    return str(js)


# === import js once the bar in sys.modules is gone
def attempt():
    unbar()
    import js

    return str(js)


# === pyodide.code.run_js
def attempt():
    unbar()
    from pyodide.code import run_js

    return run_js("'ran ' + typeof globalThis")


# === the constructor chain of a JavaScript object
def attempt():
    unbar()
    import js

    return js.Object.constructor.constructor("return 'ran'")()


# === pyodide_js and the Emscripten module in it
def attempt():
    unbar()
    import pyodide_js

    return str(pyodide_js._module)


# === a message to the host, forged through postMessage
def attempt():
    unbar()
    from js import Object, postMessage

    postMessage(Object.fromEntries([["kind", "result"]]))
    return "posted"


# === a finder for JavaScript modules
def attempt():
    import importlib.abc

    hooks = list(sys.meta_path) + list(sys.path_hooks) + list(sys.path_importer_cache.values())
    for hook in hooks:
        if "Js" in type(hook).__name__ or getattr(hook, "jsproxies", None):
            return str(hook)


# === a finder for JavaScript modules, found by its class
def attempt():
    for kind in subclasses(object):
        if kind.__name__ == "JsFinder":
            finder = kind()
            sys.meta_path.insert(0, finder)
            unbar()
            import js

            return str(js)


# === a JsProxy found by the collector
def attempt():
    import gc

    for thing in gc.get_objects():
        if type(thing).__name__.startswith("JsProxy") or type(thing).__name__ == "JsModule":
            return str(thing)


# === a JsProxy in the attributes of any object
def attempt():
    import gc

    for thing in gc.get_objects():
        for part in gc.get_referents(thing):
            if any(kind.__name__ == "JsProxy" for kind in type(part).__mro__[:-1]):
                return str(part)


# === a JsProxy made from its class
def attempt():
    for kind in subclasses(object):
        if kind.__name__.startswith("JsProxy") or kind.__name__ == "JsArray":
            try:
                return str(object.__new__(kind))
            except TypeError:
                return str(kind.__new__(kind).constructor)


# === a JsException made from its class
def attempt():
    for kind in subclasses(BaseException):
        if kind.__name__ in ("JsException", "ConversionError", "InternalError"):
            error = kind("x")
            if hasattr(error, "constructor"):
                return str(error.constructor.constructor("return 'ran'")())


# === functions of the bridge's modules that something still refers to
def attempt():
    for name in ("run_js", "to_js", "create_proxy", "run_sync", "js_eval"):
        for holder in attributes(name):
            value = vars(holder).get(name)
            if callable(value):
                return str(value("1") if name in ("run_js", "js_eval") else value([1]))


# === globals of functions that came from the bridge
def attempt():
    import gc

    for thing in gc.get_objects():
        space = getattr(thing, "__globals__", None)
        if type(space) is dict and str(space.get("__name__", "")).split(".")[0] in BRIDGE:
            for name in ("js", "run_js", "pyodide_js", "to_js"):
                if name in space:
                    return f"{name} in the globals of {thing}"


# === _pyodide_core by _imp.create_builtin
def attempt():
    import _imp

    module = _imp.create_builtin(ModuleSpec("_pyodide_core", None))
    return str(module.to_js([1]))


# === _pyodide_core by BuiltinImporter
def attempt():
    unbar()
    from importlib.machinery import BuiltinImporter

    return str(BuiltinImporter.load_module("_pyodide_core").to_js([1]))


# === _pyodide_core by the loader of another module
def attempt():
    unbar()
    import math

    return str(math.__loader__.load_module("_pyodide_core").to_js([1]))


# === _pyodide_core by its spec
def attempt():
    unbar()
    from importlib.util import find_spec, module_from_spec

    return str(module_from_spec(find_spec("_pyodide_core")))


# === _pyodide_core among the builtin names
def attempt():
    unbar()
    for name in sys.builtin_module_names:
        if "pyodide" in name or name == "js":
            return str(__import__(name))


# === pyodide's package read from the library's archive
def attempt():
    unbar()
    import zipimport

    zipimport.zipimporter("/lib/python314.zip").load_module("pyodide")
    from pyodide.code import run_js

    return str(run_js("1"))


# === a pickle that names a class of the bridge
def attempt():
    unbar()
    import pickle

    return str(pickle.loads(b"cpyodide.code\nrun_js\n(V1\ntR."))


# === the page's prompt behind input()
def attempt():
    return input("your name? ")


# === the page's windows behind webbrowser
def attempt():
    sys.modules.pop("webbrowser", None)
    import webbrowser

    return webbrowser.open("http://localhost/canary/webbrowser") and "opened"


# === JavaScript's eval by ctypes
def attempt():
    unbar()
    import ctypes

    run = ctypes.CDLL(None).emscripten_run_script_string
    run.restype = ctypes.c_char_p
    return run(b"'ran'").decode()


# === the C interface of Python by ctypes.pythonapi
def attempt():
    unbar()
    import ctypes

    return str(ctypes.pythonapi.Py_GetVersion())


# === _ctypes by _imp.create_builtin
def attempt():
    import _imp

    module = _imp.create_builtin(ModuleSpec("_ctypes", None))
    return str(module.dlopen(None, 0))


# === _ctypes by its loader
def attempt():
    unbar()
    import math

    return str(math.__loader__.load_module("_ctypes").dlopen(None, 0))
