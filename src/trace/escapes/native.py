# Ways out through C: modules that hand out raw memory, code that is not Python's, and bytecode that breaks its rules.
import sys
from importlib.machinery import ModuleSpec


def builtin(name):
    """A module compiled in, by every door there is; an empty one is none."""
    import _imp
    import math

    sys.modules.pop(name, None)
    doors = (__import__, math.__loader__.load_module, lambda name: _imp.create_builtin(ModuleSpec(name, None)))
    for door in doors:
        try:
            module = door(name)
        except ImportError:
            continue
        if [part for part in dir(module) if not part.startswith("__")]:
            return module
    raise ImportError(name)


def crafted(code, *, consts=()):
    """A function whose bytecode is `code`."""

    def base():
        return None

    return type(base)(base.__code__.replace(co_code=bytes(code), co_consts=consts, co_stacksize=64), {})


def memory():
    """
    A bytearray over all of the interpreter's memory, address 16 first: LOAD_CONST with an index past its tuple takes a pointer
    of our making for an object, and the object it points to is a bytearray of our making.
    """
    import dis
    import struct

    end = max(31457280, id(bytes(1 << 20)) + (1 << 20))
    data = bytes.__basicsize__ - 1  # where the bytes of a bytes object start
    fake = struct.pack("<7I", 1000, id(bytearray), end - 16, end - 16, 16, 16, 0)
    pointer = struct.pack("<I", id(fake) + data)
    consts = (None, fake, pointer)
    index = (id(pointer) + data - id(consts) - tuple.__basicsize__) % 2**32 // 4
    code = [dis.opmap["RESUME"], 0]
    for shift in (24, 16, 8):
        code += [dis.opmap["EXTENDED_ARG"], index >> shift & 255]
    code += [dis.opmap["LOAD_CONST"], index & 255, dis.opmap["RETURN_VALUE"], 0]
    KEPT.append((fake, pointer, consts))
    return crafted(code, consts=consts)()


KEPT = []


def rename(raw, name):
    """Gives the blanked entry of the table of builtin modules its name back."""
    import struct

    blank = b"\0" + b"\x01" * len(name) + b"\0"
    at = raw.find(blank)
    while at >= 0:
        if raw.find(struct.pack("<I", at + 1 + 16)) >= 0:  # the table points to it
            raw[at + 1 : at + 1 + len(name)] = name
        at = raw.find(blank, at + 1)


# === _testcapi
def attempt():
    return str(builtin("_testcapi"))


# === _testinternalcapi
def attempt():
    return str(builtin("_testinternalcapi"))


# === _testlimitedcapi
def attempt():
    return str(builtin("_testlimitedcapi"))


# === _remote_debugging
def attempt():
    return str(builtin("_remote_debugging"))


# === _interpreters: a new interpreter with nothing taken away
def attempt():
    interpreters = builtin("_interpreters")
    number = interpreters.create()
    error = interpreters.exec(number, "import js")
    return f"interpreter {number}" if error is None else ""


# === concurrent.interpreters
def attempt():
    sys.modules.pop("_interpreters", None)
    from concurrent import interpreters

    interpreters.create().exec("import js")
    return "ran"


# === _posixsubprocess
def attempt():
    return str(builtin("_posixsubprocess"))


# === an extension module of our own, loaded from a file
def attempt():
    from importlib.machinery import ExtensionFileLoader
    from importlib.util import module_from_spec, spec_from_loader

    with open("/tmp/own.so", "wb") as file:
        # A side module of WebAssembly with nothing in it: "dylink.0" and no sections.
        file.write(b"\0asm\1\0\0\0\x00\x0f\x08dylink.0\x01\x04\0\0\0\0")
    return str(module_from_spec(spec_from_loader("own", ExtensionFileLoader("own", "/tmp/own.so"))))


# === an extension module of our own, by _imp.create_dynamic
def attempt():
    import _imp

    with open("/tmp/own.so", "wb") as file:
        file.write(b"\0asm\1\0\0\0\x00\x0f\x08dylink.0\x01\x04\0\0\0\0")
    spec = ModuleSpec("own", None, origin="/tmp/own.so")
    return str(_imp.create_dynamic(spec))


# === bytecode of garbage
def attempt():
    return crafted([0x99, 0xFF] * 20)()


# === bytecode that pops an empty stack
def attempt():
    import dis

    crafted([dis.opmap["RESUME"], 0] + [dis.opmap["POP_TOP"], 0] * 500 + [dis.opmap["RETURN_VALUE"], 0])()


# === a code object made from nothing
def attempt():
    import types

    code = types.CodeType(0, 0, 0, 0, 2**16, 3, bytes([255, 255] * 8), (), (), (), "x", "x", "x", 1, b"", b"")
    return eval(code)


# === a marshalled code object with another's bytecode
def attempt():
    import marshal

    body = bytearray(marshal.dumps(compile("x = 1\n", "x", "exec")))
    for at in range(20, 40):
        body[at] ^= 0x5A
    exec(marshal.loads(bytes(body)), {})


# === raw memory by crafted bytecode, and with it the name of _pyodide_core put back
def attempt():
    import _imp

    rename(memory(), b"_pyodide_core")
    return str(_imp.create_builtin(ModuleSpec("_pyodide_core", None)).to_js([1]))


# === raw memory by crafted bytecode, and with it the name of _ctypes put back
def attempt():
    import _imp

    rename(memory(), b"_ctypes")
    module = _imp.create_builtin(ModuleSpec("_ctypes", None))
    run = module.dlsym(module.dlopen(None, 0), "emscripten_run_script_string")
    return str(module.call_function(run, (b"'ran'",)))


# === a read outside of the interpreter's memory
def attempt():
    import struct

    raw = memory()
    # Makes the false bytearray end where addresses end.
    fake = KEPT[0][0]
    where = id(fake) + bytes.__basicsize__ - 1 + 8 - 16
    raw[where : where + 4] = struct.pack("<I", 2**31 - 64)
    return str(raw[2**31 - 80])


# === the C functions of faulthandler
def attempt():
    faulthandler = builtin("faulthandler")
    faulthandler._read_null()
    faulthandler._sigsegv()


# === code sent to a process by sys.remote_exec
def attempt():
    import os

    with open("/tmp/remote.py", "w") as file:
        file.write("import js")
    sys.remote_exec(os.getpid(), "/tmp/remote.py")
    return "sent"


# === mapped memory of a device
def attempt():
    import mmap

    with open("/dev/mem", "r+b") as file:
        return str(mmap.mmap(file.fileno(), 4096)[:8])
