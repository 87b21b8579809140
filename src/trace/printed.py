# Standard output of a program. Programs hold this object, so nothing of the engine is to be found in its module.
import codecs
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

    def reconfigure(self, **options):
        pass  # encoding and buffering are not the program's here


class PrintedBytes(io.RawIOBase):
    def __init__(self, owner):
        self.owner = owner
        self.decode = codecs.getincrementaldecoder("utf-8")("replace").decode  # a character may come in two writes

    def writable(self):
        return True

    def write(self, data):
        self.owner.write(self.decode(bytes(data)))
        return len(data)


def stdin_of(text):
    return io.TextIOWrapper(io.BytesIO(text.encode("utf-8", "surrogatepass")), encoding="utf-8")
