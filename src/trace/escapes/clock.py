# What could differ from run to run. Each attempt returns what it saw, and wins if a second run sees something else [same].
import hashlib
import os
import time


def shown(seen):
    """Short, for results show no more than 60 characters of a text."""
    text = repr(seen)
    return hashlib.sha256(text.encode()).hexdigest()[:12] + " " + text[:40]


def tried(call):
    try:
        return call()
    except (OSError, RuntimeError) as error:
        return repr(error)


# === the clocks [same]
def attempt():
    names = ("time", "time_ns", "monotonic", "perf_counter", "process_time", "thread_time")
    return shown([tried(getattr(time, name)) for name in names if hasattr(time, name)])


# === how long a loop takes [same]
def attempt():
    start = time.perf_counter()
    sum(range(300_000))
    return shown(time.perf_counter() - start)


# === how long a wait takes [same]
def attempt():
    start = time.monotonic()
    time.sleep(0.001)
    return shown(time.monotonic() - start)


# === the date [same]
def attempt():
    import datetime

    return shown((datetime.datetime.now(), datetime.date.today(), time.localtime(), time.strftime("%c")))


# === the times of files [same]
def attempt():
    with open("/tmp/now", "w") as file:
        file.write("x")
    found = []
    for path in ("/tmp/now", "/tmp", "/run", "/lib", "/lib/python314.zip", "/", "/dev/null"):
        if not os.path.exists(path):
            continue
        status = os.stat(path)
        found.append((path, status.st_mtime_ns, status.st_ctime_ns, status.st_atime_ns, status.st_ino))
    return shown(found)


# === the times of the process [same]
def attempt():
    return shown([tried(call) for call in (os.times, os.getpid, os.getppid, os.getloadavg, time.process_time)])


# === random bytes [same]
def attempt():
    import random
    import secrets
    import tempfile
    import uuid

    name = next(tempfile._get_candidate_names())
    return shown((os.urandom(4), random.random(), random.SystemRandom().random(), secrets.token_hex(4), uuid.uuid4().hex[:8], name))


# === random bytes of the devices [same]
def attempt():
    found = []
    for name in ("random", "urandom"):
        try:
            with open("/dev/" + name, "rb", buffering=0) as file:
                found.append(file.read(8))
        except OSError as error:
            found.append(error.errno)
    return shown(found)


# === addresses and hashes [same]
def attempt():
    class Made:
        pass

    return shown((id(Made), id(Made()), id([]), hash("text"), hash(b"bytes"), hash(Made), list({"b", "a", "c"}), object()))


# === the machine [same]
def attempt():
    import locale
    import platform
    import sys

    return shown((os.cpu_count(), platform.uname(), locale.getlocale(), sys.getfilesystemencoding(), os.getcwd()))


# === the time zone of the host
def attempt():
    june = (1970, 6, 23, 14, 40, 0)
    zone = (time.timezone, time.daylight, time.localtime(15_000_000)[:6], time.mktime((*june, 0, 0, 0)))
    return "" if zone == (0, 0, june, 15_000_000) else repr(zone)
