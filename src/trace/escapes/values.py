# Values that would pass a careless comparison with anything.
import sys


class Equal:
    """Equal to everything."""

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    __hash__ = object.__hash__


# === an object equal to everything
def attempt():
    return Equal()


# === a string equal to everything
def attempt():
    class Text(str):
        __eq__ = lambda self, other: True
        __hash__ = str.__hash__

    return Text()


# === a list with an object equal to everything
def attempt():
    return [Equal()][0:1].pop()


# === a class equal to everything
def attempt():
    class Meta(type):
        def __eq__(self, other):
            return True

        __hash__ = type.__hash__

    class Made(metaclass=Meta):
        pass

    return Made


# === an object that says it is a string
def attempt():
    class Made(Equal):
        __class__ = property(lambda self: str)

    return Made()


# === a string whose class is replaced after the call
def attempt():
    class Text(str):
        __slots__ = ()

    value = Text()

    def later(*_):
        Text.__eq__ = lambda self, other: True

    sys.setprofile(later)
    return value


# === a dictionary whose keys compare as they like
def attempt():
    class Key(str):
        def __eq__(self, other):
            sys._getframe(1).f_globals["ok"] = True
            return True

        __hash__ = str.__hash__

    return {Key("x"): 1}


# === a number that says yes
def attempt():
    class Yes(int):
        __eq__ = lambda self, other: True
        __bool__ = lambda self: True
        __hash__ = int.__hash__

    return Yes(1)


# === NotImplemented
def attempt():
    return NotImplemented


# === unittest.mock.ANY
def attempt():
    from unittest.mock import ANY

    return ANY
