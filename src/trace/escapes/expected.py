# Ways to the expected value. The only test is `assert attempt() == SECRET`, and the secret has 128 random bits: they
# can only fail where tests and expected values are kept out of this interpreter.
import re
import sys

SECRET = "orchid-[0-9a-f]{32}"


def secret_in(text):
    if isinstance(text, (bytes, bytearray)):
        text = text.decode("latin-1")
    found = re.search(SECRET, text)
    return found.group() if found else None


def reach(roots):
    """Every object that can be reached from these, strings included."""
    import gc

    seen, open_ = {}, list(roots)
    while open_:
        fresh = [thing for thing in open_ if id(thing) not in seen]
        seen.update(zip(map(id, fresh), fresh))
        open_ = gc.get_referents(*fresh)
    return list(seen.values())


def secret_among(things):
    for thing in things:
        if type(thing) in (str, bytes, bytearray) and len(thing) < 1_000_000:
            found = secret_in(thing)
            if found:
                return found


def frames():
    frame = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


# === the request, left in its file
def attempt():
    with open("/run/in", "rb") as file:
        return secret_in(file.read())


# === every file
def attempt():
    import os

    for folder, _, names in os.walk("/"):
        for name in names:
            path = os.path.join(folder, name)
            if path.startswith("/dev") or path.endswith(".zip"):
                continue
            try:
                with open(path, "rb") as file:
                    found = secret_in(file.read(1 << 20))
            except OSError:
                continue
            if found:
                return found


# === every open descriptor, from its start
def attempt():
    import os

    for number in range(41):
        for read in (lambda: os.pread(number, 1 << 20, 0), lambda: os.lseek(number, 0, 0), lambda: os.read(number, 1 << 20)):
            try:
                data = read()
            except OSError:
                continue
            if type(data) is bytes and secret_in(data):
                return secret_in(data)


# === the variables of the frames below
def attempt():
    return secret_among(reach([list(frame.f_locals.values()) for frame in frames()]))


# === the code and constants of the frames below
def attempt():
    return secret_among(reach([frame.f_code for frame in frames()] + [frame.f_globals for frame in frames()]))


# === the frames of an exception's traceback
def attempt():
    try:
        raise ValueError
    except ValueError as error:
        frame = error.__traceback__.tb_frame
    found = []
    while frame.f_back is not None:
        frame = frame.f_back
        found.append(dict(frame.f_locals))
        found.append(frame.f_code.co_consts)
    return secret_among(reach(found))


# === what refers to the frame of the call
def attempt():
    import gc

    things = [sys._getframe()]
    for _ in range(3):
        things = [holder for thing in things[:50] for holder in gc.get_referrers(thing)]
        found = secret_among(reach(things))
        if found:
            return found


# === everything the collector knows
def attempt():
    import gc

    return secret_among(reach(gc.get_objects()))


# === everything the collector knows, the frozen generation included
def attempt():
    import gc

    gc.unfreeze()
    return secret_among(reach(gc.get_objects()))


# === everything that any class leads to
def attempt():
    return secret_among(reach([object, *type.__subclasses__(object), *sys.modules.values()]))


# === the closure of the function that calls
def attempt():
    import types

    for frame in frames():
        for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):
            if type(value) is types.FunctionType:
                for cell in value.__closure__ or ():
                    found = secret_among(reach([cell]))
                    if found:
                        return found


# === the tests of the harness's records
def attempt():
    for frame in frames():
        for value in frame.f_locals.values():
            request = getattr(value, "request", None)
            if type(request) is dict:
                found = secret_in(repr(request))
                if found:
                    return found


# === raw memory, by crafted bytecode
def attempt():
    import dis
    import struct

    end = max(31457280, id(bytes(1 << 20)) + (1 << 20))
    data = bytes.__basicsize__ - 1
    fake = struct.pack("<7I", 1000, id(bytearray), end - 16, end - 16, 16, 16, 0)
    pointer = struct.pack("<I", id(fake) + data)
    consts = (None, fake, pointer)
    index = (id(pointer) + data - id(consts) - tuple.__basicsize__) % 2**32 // 4
    code = [dis.opmap["RESUME"], 0]
    for shift in (24, 16, 8):
        code += [dis.opmap["EXTENDED_ARG"], index >> shift & 255]
    code += [dis.opmap["LOAD_CONST"], index & 255, dis.opmap["RETURN_VALUE"], 0]
    base = attempt.__code__.replace(co_code=bytes(code), co_consts=consts, co_varnames=(), co_nlocals=0, co_cellvars=(),
                                    co_freevars=(), co_exceptiontable=b"")
    raw = type(attempt)(base, {})()
    return re.search(SECRET.encode(), raw).group().decode()


# === values that the harness's functions return, seen by a profiler
def attempt():
    seen = []

    def watch(frame, event, arg):
        if event == "return" and type(arg) is str and arg.startswith(SECRET[:7]):
            seen.append(arg)

    sys.setprofile(watch)
    return seen


# === values that the harness's functions return, seen by a monitoring tool
def attempt():
    tool, events = 3, sys.monitoring.events
    seen = []

    def watch(code, offset, value):
        if type(value) is str and value.startswith(SECRET[:7]):
            seen.append(value)

    sys.monitoring.use_tool_id(tool, "mine")
    sys.monitoring.register_callback(tool, events.PY_RETURN, watch)
    sys.monitoring.set_events(tool, events.PY_RETURN)
    return seen


# === events of the interpreter, heard by an audit hook
def attempt():
    seen = []

    def hear(event, arguments):
        for argument in arguments:
            found = secret_among([argument] + list(getattr(argument, "co_consts", ())))
            if found:
                seen.append(found)

    sys.addaudithook(hear)
    return seen
