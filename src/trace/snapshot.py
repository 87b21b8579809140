# Values as bounded text, without ever running code of the program: types are compared by identity, subclasses are read
# through the slots of their builtin base, objects through the descriptors CPython itself put on their class.
import builtins
import types
from collections import Counter, OrderedDict, defaultdict, deque

MAX_CHARS = 60  # of a string or bytes
MAX_ITEMS = 8  # of a container
MAX_DEPTH = 2  # of nested containers
MAX_TEXT = 400  # of a whole value
MAX_NAMES = 16  # of one frame

_INF = float("inf")
_type_name = type.__dict__["__name__"].__get__
_type_mro = type.__dict__["__mro__"].__get__
_type_dict = type.__dict__["__dict__"].__get__
_proxy_type = type((lambda: __import__("sys")._getframe().f_locals)())  # from 3.13 on a view, before a dict
_set_types = (set, frozenset)


def text(value):
    """One line of at most MAX_TEXT characters; `<deep>` or `<memory>` where the interpreter's own limits interfere."""
    try:
        out = _text(value, 0, ())
    except RecursionError:
        return "<deep>"
    except MemoryError:
        return "<memory>"
    return out if len(out) <= MAX_TEXT else out[:MAX_TEXT] + "…"


def class_name(cls):
    name = _type_name(cls)
    return name if type(name) is str else "?"


def scope(frame, hidden=()):
    """The frame's variables as {name: text}, in the order of definition, without modules and internal names."""
    variables = frame.f_locals
    if type(variables) is not dict:
        # A class body may have a namespace of the program's making; CPython's own proxy is safe to read.
        if type(variables) is not _proxy_type:
            return {}
        variables = dict(variables)
    module_level = frame.f_code.co_name == "<module>"
    out = {}
    for name, value in list(dict.items(variables)):
        if type(name) is not str or name[:1] == "." or name in hidden or type(value) is types.ModuleType:
            continue
        if module_level and (name[:2] == "__" or type(value) is types.FunctionType or is_class(value)):
            continue
        out[name] = text(value)
        if len(out) == MAX_NAMES:
            break
    return out


def is_class(value):
    return type in _type_mro(type(value))


def _text(v, depth, path):
    t = type(v)
    if t is int:
        return int.__repr__(v) if v.bit_length() <= 256 else f"<int {v.bit_length()} bits>"
    if t is str or t is bytes:
        return repr(v) if len(v) <= MAX_CHARS else f"{v[:MAX_CHARS]!r}…+{len(v) - MAX_CHARS}"
    if t is bool or v is None or v is NotImplemented or v is Ellipsis:
        return repr(v)
    if t is float:
        # JSON has no infinity, and the method's example prints it quoted.
        return f"'{v!r}'" if v != v or v in (_INF, -_INF) else repr(v)
    if t is complex or t is range:
        return repr(v) if t is complex else _range(v)
    if t is list or t is tuple or t in _set_types or t is dict or t in (deque, defaultdict, Counter, OrderedDict):
        return _container(v, t, depth, path)
    if t is types.FunctionType or t is types.BuiltinFunctionType:
        return f"<function {_plain(v.__name__)}>"
    if t is types.MethodType:
        return "<method>"
    if t is types.GeneratorType:
        return "<generator>"
    if t is types.CoroutineType:
        return "<coroutine>"
    if t is types.ModuleType:
        return "<module>"
    if is_class(v):
        return f"<class {class_name(v)}>"
    return _object(v, t, depth, path)


def _plain(name):
    return name if type(name) is str else "?"


def _range(v):
    parts = [_text(v.start, 0, ()), _text(v.stop, 0, ())]
    return "range(" + ", ".join(parts if v.step == 1 else parts + [_text(v.step, 0, ())]) + ")"


def _items(iterator, show):
    out = []
    for item in iterator:
        if len(out) == MAX_ITEMS:
            break
        out.append(show(item))
    return out


def _container(v, base, depth, path):
    """`base` is the builtin type whose layout `v` has; only methods of that type are used."""
    mapping = base in (dict, defaultdict, Counter, OrderedDict)
    opening, closing = ("{", "}") if mapping or base is set else ("(", ")") if base is tuple else ("[", "]")
    if id(v) in path or depth > MAX_DEPTH:
        body, size = "…", 0
    else:
        inner = path + (id(v),)
        show = lambda item: _text(item, depth + 1, inner)
        if mapping:
            size = dict.__len__(v)
            parts = _items(dict.items(v), lambda pair: show(pair[0]) + ": " + show(pair[1]))
        elif base in _set_types:
            size = base.__len__(v)
            # Sorted, because the order of a set depends on addresses. Many: a bounded and still fixed choice is not
            # to be had without looking at all of them.
            parts = sorted(show(item) for item in base.__iter__(v))[:MAX_ITEMS] if size <= 10_000 else ["…"]
        else:
            size = base.__len__(v)
            parts = _items(base.__iter__(v), show)
        if size > MAX_ITEMS:
            parts.append(f"…+{size - MAX_ITEMS}")
        body = ", ".join(parts)
        if base is tuple and size == 1:
            body += ","
        if base in _set_types and size == 0:
            return base.__name__ + "()"
    out = opening + body + closing
    if base is frozenset:
        return "frozenset({" + body + "})"
    if base in (deque, defaultdict, Counter, OrderedDict):
        return f"{base.__name__}({out})"
    return out


def _object(v, t, depth, path):
    """A value of a class that is not builtin: its builtin part and its attributes."""
    name = class_name(t)
    if depth > MAX_DEPTH or id(v) in path:
        return f"<{name}>"
    mro = _type_mro(t)
    for base in mro:
        if base is int or base is bool:
            return f"{name}({int.__repr__(v) if int.bit_length(v) <= 256 else '…'})"
        if base is float:
            return f"{name}({float.__repr__(v)})"
        if base is str or base is bytes:
            return f"{name}({_text(base.__getitem__(v, slice(0, MAX_CHARS)), depth, path)})"
        if base is tuple:
            return name + _named_tuple(v, t, depth, path)
        if base in (Counter, OrderedDict, defaultdict, deque, list, dict, set, frozenset):
            inner = _container(v, base, depth, path)
            return f"{name}({inner})"
        if base is BaseException:
            return f"{name}{_text(BaseException.__dict__['args'].__get__(v), depth, path)}"
    parts = _items(_attributes(v, mro), lambda pair: f"{pair[0]}={_text(pair[1], depth + 1, path + (id(v),))}")
    return f"{name}({', '.join(parts)})" if parts else f"<{name}>"


def _named_tuple(v, t, depth, path):
    fields = _type_dict(t).get("_fields")
    if type(fields) is not tuple or len(fields) != tuple.__len__(v):
        return _container(v, tuple, depth, path)
    inner = path + (id(v),)
    parts = _items(zip(fields, tuple.__iter__(v)), lambda pair: f"{_plain(pair[0])}={_text(pair[1], depth + 1, inner)}")
    return "(" + ", ".join(parts) + ")"


def _attributes(v, mro):
    for cls in mro:
        found = _type_dict(cls).get("__dict__")
        # The descriptor CPython makes for each class; one the program put there has another type.
        if type(found) is types.GetSetDescriptorType and found.__objclass__ is cls:
            content = found.__get__(v)
            if dict in _type_mro(type(content)):
                for key, value in list(dict.items(content)):
                    if type(key) is str:
                        yield key, value
            break
    for cls in mro:
        for key, member in list(_type_dict(cls).items()):
            if type(member) is types.MemberDescriptorType and type(key) is str and key[:2] != "__":
                try:
                    yield key, member.__get__(v)
                except AttributeError:
                    pass


def message(error):
    """An exception's message without calling its class: at most 200 characters."""
    args = BaseException.__dict__["args"].__get__(error)
    mro = _type_mro(type(error))
    if len(args) == 0:
        return ""
    if len(args) == 1:
        out = args[0] if type(args[0]) is str and KeyError not in mro else text(args[0])
    elif mro[0] in _builtin_errors and all(type(arg) in (str, int, type(None)) for arg in args):
        # OSError and SyntaxError have messages of their own making; with plain arguments nothing of the program runs.
        out = mro[0].__str__(error)
    else:
        out = text(args)
    return out if len(out) <= 200 else out[:200] + "…"


_builtin_errors = tuple(v for v in vars(builtins).values() if type(v) is type and BaseException in v.__mro__)
