# Values as bounded text, without ever running code of the program: types are told apart by identity (a metaclass may
# define == and hash), subclasses are read through the slots of their builtin base, objects through the descriptors
# CPython itself put on their class.
import builtins
import enum
import types
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import islice
from operator import is_

MAX_CHARS = 60  # of a string or bytes
MAX_ITEMS = 8  # of a container
MAX_DEPTH = 2  # of nested containers
MAX_TEXT = 400  # of a whole value
MAX_NAMES = 16  # of one frame
MAX_NAME = 80  # characters of a name
MAX_SORTED = 1000  # elements of a set: more are only counted, since to show the first means to sort all

_type_name = type.__dict__["__name__"].__get__
_type_mro = type.__dict__["__mro__"].__get__
_type_dict = type.__dict__["__dict__"].__get__
_type_flags = type.__dict__["__flags__"].__get__
_HEAP_TYPE = 1 << 9  # made by a class statement, not part of the interpreter
_proxy_type = type((lambda: __import__("sys")._getframe().f_locals)())  # from 3.13 on a view, before a dict
_atoms = frozenset(map(id, (int, str, float, bool, type(None))))  # unchangeable: the same object has the same text
_internal = frozenset("__module__ __qualname__ __firstlineno__ __static_attributes__ __classcell__ __classdict__ __class__ "
                      "__classdictcell__ __annotations__ __annotate__ __annotate_func__ __conditional_annotations__ "
                      "__doc__ __type_params__".split())
_work = 0


def work():
    """How many items of containers were looked at so far: a measure of cost that is the same on every machine."""
    return _work


def text(value):
    """One line of at most MAX_TEXT characters; `<deep>` or `<memory>` where the interpreter's own limits interfere."""
    try:
        out = _text(value, 0, (), MAX_TEXT)
    except RecursionError:
        return "<deep>"
    except MemoryError:
        return "<memory>"
    return out if len(out) <= MAX_TEXT else out[:MAX_TEXT] + "…"


def class_name(cls):
    name = _type_name(cls)
    return short(name) if type(name) is str else "?"


def short(name):
    return name if len(name) <= MAX_NAME else name[:MAX_NAME] + "…"


def scope(frame, hidden, known):
    """
    The frame's variables as {name: text}, in the order of definition, without modules and internal names.

    `known`, a dictionary of the caller's for this frame, remembers the texts of values that cannot change.
    """
    variables = frame.f_locals
    if type(variables) is _proxy_type:
        items = list(_proxy_type.items(variables))  # in one pass; each look-up by name would be a pass of its own
    elif _derives(type(variables), dict):
        items = list(islice(dict.items(variables), 1000))
    else:
        return {}  # a class body in a namespace of the program's making
    module_level = frame.f_code.co_name == "<module>"
    out = {}
    for name, value in items:
        if type(name) is not str:
            continue
        entry = known.get(name)
        if entry is not None and entry[0] is value:
            out[name] = entry[1]
        elif name[:1] == "." or name in hidden or name in _internal or type(value) is types.ModuleType:
            continue
        elif module_level and (name[:2] == "__" or type(value) is types.FunctionType or is_class(value)):
            continue
        else:
            out[short(name)] = shown = text(value)
            # A long string is not kept: the program may be about to free it.
            if id(type(value)) in _atoms and len(shown) <= MAX_CHARS + 2 and len(name) <= MAX_NAME:
                known[name] = (value, shown)
        if len(out) == MAX_NAMES:
            break
    return out


def is_class(value):
    return _derives(type(value), type)


def _derives(cls, base):
    for part in _type_mro(cls):
        if part is base:
            return True
    return False


# --- rendering: every function takes the value, its depth, the ids of the containers around it, and how many characters
# there is room for; beyond that nothing is looked at any more, because text() cuts it off anyway


def _text(v, depth, path, room):
    show = _kinds.get(id(type(v)))
    if show is not None:
        return show(v, depth, path, room)
    return f"<class {class_name(v)}>" if is_class(v) else _object(v, type(v), depth, path, room)


def _int(v, depth, path, room):
    return int.__repr__(v) if v.bit_length() <= 256 else f"<int {v.bit_length()} bits>"


def _string(v, depth, path, room):
    return repr(v) if len(v) <= MAX_CHARS else f"{v[:MAX_CHARS]!r}…+{len(v) - MAX_CHARS}"


def _bytearray(v, depth, path, room):
    return f"bytearray({bytes(v[:MAX_CHARS])!r}{f'…+{len(v) - MAX_CHARS}' if len(v) > MAX_CHARS else ''})"


def _float(v, depth, path, room):
    # JSON has no infinity, and the method's example prints it quoted.
    return repr(v) if v - v == 0 else f"'{v!r}'"


def _repr(v, depth, path, room):
    return repr(v)


def _moment(v, depth, path, room):
    # A time zone may be the program's.
    return repr(v) if v.tzinfo is None or v.tzinfo is timezone.utc else f"<{class_name(type(v))}>"


def _range(v, depth, path, room):
    parts = [v.start, v.stop] if v.step == 1 else [v.start, v.stop, v.step]
    return "range(" + ", ".join([_text(part, 0, (), room) for part in parts]) + ")"


def _function(v, depth, path, room):
    return f"<function {_plain(v.__name__)}>"


def _plain(name):
    return short(name) if type(name) is str else "?"


def _alike(items):
    """Whether all are plain numbers or all short strings, so that Python's own text of them, made in C, is ours too."""
    kinds = set(map(id, map(type, items)))
    if kinds == _only_int:
        return max(items) < _huge and min(items) > -_huge
    return kinds == _only_str and max(map(len, items)) <= MAX_CHARS


_only_int, _only_str, _huge = {id(int)}, {id(str)}, 1 << 256


_last_shown = {}  # id of a list -> (its first items, their text): while the items are the same objects, so is the text


def _values(items, depth, path, room, home=None):
    global _work
    if len(items) > 1:
        last = _last_shown.get(home)
        if last is not None and len(last[0]) == len(items) and all(map(is_, last[0], items)):
            _work += len(items)
            return [last[1]]
        if _alike(items):
            _work += len(items)
            shown = repr(items)[1:-1]
            if len(_last_shown) > 500:
                _last_shown.clear()
            _last_shown[home] = (items, shown)
            return [shown]
    out = []
    for item in items:
        show = _kinds.get(id(type(item)))
        out.append(show(item, depth, path, room) if show is not None else _text(item, depth, path, room))
        room -= len(out[-1]) + 2
        if room <= 0:
            break
    _work += len(out)
    return out


def _named(pairs, between, depth, path, room):
    """The texts of pairs, `key=value` or `key: value`; keys that are names come in as texts already."""
    global _work
    if between == ": " and len(pairs) > 1 and _alike([key for key, _ in pairs]) and _alike([value for _, value in pairs]):
        _work += len(pairs)
        return [repr(dict(pairs))[1:-1]]
    out = []
    for key, value in pairs:
        name = key if between == "=" else _text(key, depth, path, room)
        out.append(name + between + _text(value, depth, path, room))
        room -= len(out[-1]) + 2
        if room <= 0:
            break
    _work += len(out)
    return out


def _container(v, base, depth, path, room):
    """
    `base` is the builtin type whose layout `v` has; only methods of that type are used. What is shown is taken out of `v`
    at once: while it is being shown, a finalizer of the program's may change `v`.
    """
    global _work
    mapping = base in _mappings
    sets = base is set or base is frozenset
    if id(v) in path or depth > MAX_DEPTH:
        body, size = "…", 0
    else:
        inner = path + (id(v),)
        if mapping:
            size = dict.__len__(v)
            items = list(islice(_ordered(v, size) if base is OrderedDict else dict.items(v), MAX_ITEMS))
            parts = _named(items, ": ", depth + 1, inner, room)
        elif sets:
            # Sorted, because the order of a set depends on addresses.
            size = base.__len__(v)
            parts = ["…"]
            if size <= MAX_SORTED:
                _work += size
                items = list(base.__iter__(v))
                shown = map(repr, items) if size and _alike(items) else [_text(item, depth + 1, inner, room) for item in items]
                parts = sorted(shown)[:MAX_ITEMS]
        else:
            size = base.__len__(v)
            items = base.__getitem__(v, _first) if base is not deque else list(islice(deque.__iter__(v), MAX_ITEMS))
            parts = _values(items, depth + 1, inner, room, id(v))
        if size > MAX_ITEMS:
            parts.append(f"…+{size - MAX_ITEMS}")
        body = ", ".join(parts)
    if base is list:
        return "[" + body + "]"
    if base is tuple:
        return "(" + body + (",)" if size == 1 else ")")
    if base is dict:
        return "{" + body + "}"
    if sets:
        if not body:
            return base.__name__ + "()"
        return "{" + body + "}" if base is set else "frozenset({" + body + "})"
    return f"{base.__name__}([{body}])" if base is deque else f"{base.__name__}({{{body}}})"


def _ordered(v, size):
    """OrderedDict has an order of its own beside its table's; to follow it, keys are hashed, so they have to be plain."""
    keys = list(dict.keys(v)) if size <= MAX_SORTED else [None, ()]
    return OrderedDict.items(v) if all([id(type(key)) in _atoms for key in keys]) else dict.items(v)


def _of(base):
    return lambda v, depth, path, room: _container(v, base, depth, path, room)


_mappings = (dict, defaultdict, Counter, OrderedDict)
_first = slice(0, MAX_ITEMS)
_kinds = {
    id(int): _int, id(str): _string, id(bytes): _string, id(float): _float, id(range): _range,
    id(types.FunctionType): _function, id(types.BuiltinFunctionType): _function,
    id(datetime): _moment, id(time): _moment, id(bytearray): _bytearray,
}
_kinds.update((id(t), _repr) for t in (bool, type(None), type(NotImplemented), type(Ellipsis), complex, date, timedelta))
_kinds.update((id(t), _of(t)) for t in (list, tuple, set, frozenset, deque, *_mappings))
_kinds.update((id(t), lambda v, *rest, shown=shown: shown) for t, shown in (
    (types.MethodType, "<method>"), (types.GeneratorType, "<generator>"), (types.CoroutineType, "<coroutine>"),
    (types.AsyncGeneratorType, "<async_generator>"), (types.ModuleType, "<module>")))
if type(Decimal.__repr__) is types.WrapperDescriptorType:
    _kinds[id(Decimal)] = _repr


# --- objects of classes that are not builtin

_layouts = {}  # id of a class -> (the class, its builtin base or None, fields of a named tuple, reader of __dict__, slots)


def _layout(cls):
    found = _layouts.get(id(cls))
    if found is None:
        mro = _type_mro(cls)
        base = next((b for b in mro if id(b) in _bases), None)
        fields, content, slots = None, None, []
        for part in mro:
            for key, member in list(dict(_type_dict(part)).items()):
                if type(key) is not str:
                    continue
                # The descriptors CPython makes for each class: others would run code, or are of another class.
                genuine = id(type(member)) in _descriptors and member.__objclass__ is part
                if genuine and key == "__dict__" and content is None:
                    content = member.__get__
                elif key == "_fields" and fields is None and type(member) is tuple:
                    fields = member
                elif genuine and type(member) is _members and _type_flags(part) & _HEAP_TYPE and key[:2] != "__":
                    slots.append((key, member.__get__))
        found = _layouts[id(cls)] = (cls, base, fields, content, slots)
    return found


_members = types.MemberDescriptorType
_descriptors = (id(types.GetSetDescriptorType), id(_members))
_bases = {id(t): t for t in (enum.Enum, int, float, str, bytes, tuple, list, set, frozenset, deque, BaseException, *_mappings)}


def _object(v, t, depth, path, room):
    """A value of a class that is not builtin: its builtin part or its attributes."""
    name = class_name(t)
    if depth > MAX_DEPTH or id(v) in path:
        return f"<{name}>"
    _, base, fields, content, slots = _layout(t)
    if _derives(t, enum.Enum):
        member = [value for key, value in _attributes(v, content, ()) if key == "_name_"]
        return f"{name}.{member[0]}" if member and type(member[0]) is str else f"<{name}>"
    if base is None:
        inner = path + (id(v),)
        parts = _named(_attributes(v, content, slots)[:MAX_ITEMS], "=", depth + 1, inner, room)
        return f"{name}({', '.join(parts)})" if parts else f"<{name}>"
    if base is int:
        return f"{name}({int.__repr__(v) if int.bit_length(v) <= 256 else '…'})"
    if base is float:
        return f"{name}({float.__repr__(v)})"
    if base is str or base is bytes:
        return f"{name}({_string(base.__getitem__(v, slice(0, MAX_CHARS)), depth, path, room)})"
    if base is BaseException:
        inner = path + (id(v),)
        return f"{name}({', '.join(_values(_error_args(v)[:MAX_ITEMS], depth + 1, inner, room))})"
    if base is tuple:
        if fields is None or len(fields) != tuple.__len__(v):
            return name + _container(v, tuple, depth, path, room)
        inner = path + (id(v),)
        pairs = zip([_plain(field) for field in fields], tuple.__getitem__(v, _first))
        return name + "(" + ", ".join(_named(pairs, "=", depth + 1, inner, room)) + ")"
    return f"{name}({_container(v, base, depth, path, room)})"


def _attributes(v, content, slots):
    """(name, value) of an object, none of which runs its class."""
    out = []
    namespace = content(v) if content is not None else None
    if namespace is not None and _derives(type(namespace), dict):
        out += [pair for pair in list(islice(dict.items(namespace), 100)) if type(pair[0]) is str]
    for key, read in slots:
        try:
            out.append((key, read(v)))
        except AttributeError:
            pass
    return out


# --- exceptions

_error_args = BaseException.__dict__["args"].__get__
_file_name = OSError.__dict__["filename"].__get__
_builtin_errors = {id(v) for v in vars(builtins).values() if type(v) is type and BaseException in v.__mro__}


def message(error):
    """An exception's message without calling its class: at most 200 characters."""
    out = _message(error, type(error), _error_args(error))
    return out if len(out) <= 200 else out[:200] + "…"


def _message(error, cls, args):
    if len(args) == 0:
        return ""
    if len(args) == 1:
        return args[0] if type(args[0]) is str and not _derives(cls, KeyError) else text(args[0])
    if _derives(cls, _group) and type(args[0]) is str:
        count = len(_group.exceptions.__get__(error))
        return f"{args[0]} ({count} sub-exception{'' if count == 1 else 's'})"
    if id(cls) in _builtin_errors and all([_is_plain(arg) for arg in args]):
        # OSError, SyntaxError and others make up their message from attributes, which the program may have replaced.
        # A new exception of the same arguments has the genuine ones.
        if _derives(cls, OSError) and len(args) == 2 and type(_file_name(error)) is str:
            args += (_file_name(error),)
        try:
            return str(cls(*args))
        except Exception:
            pass  # the program has changed what is in args
    return text(args)


def _is_plain(arg):
    return id(type(arg)) in _atoms or type(arg) is bytes or type(arg) is tuple and all([_is_plain(a) for a in arg])


_group = BaseExceptionGroup
