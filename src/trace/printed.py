# Standard output of a program. Programs hold this object, so nothing of the engine is to be found in its module.
import io


class TooMuchOutput(BaseException):
    pass


class Printed(io.TextIOBase):
    """Standard output of a program: bounded, kept in memory."""

    def __init__(self, limit, keep=True):
        self.limit = limit
        self.keep = keep
        self.parts = []
        self.size = 0
        self.tracer = None
        self.exceeded = False
        self.buffer = PrintedBytes(self)

    encoding = "utf-8"

    def writable(self):
        return True

    def write(self, piece):
        if not isinstance(piece, str):
            raise TypeError(f"write() argument must be str, not {type(piece).__name__}")
        piece = str.__str__(piece)
        if self.keep:
            self.size += len(piece)
            if self.size > self.limit:
                self.exceeded = True
                raise TooMuchOutput
            self.parts.append(piece)
        if self.tracer is not None:
            self.tracer.wrote(piece)
        return len(piece)

    def text(self):
        return "".join(self.parts)


class PrintedBytes(io.RawIOBase):
    def __init__(self, owner):
        self.owner = owner

    def writable(self):
        return True

    def write(self, data):
        self.owner.write(bytes(data).decode("utf-8", "replace"))
        return len(data)


def stdin_of(text):
    return io.TextIOWrapper(io.BytesIO(text.encode("utf-8", "surrogatepass")), encoding="utf-8")
