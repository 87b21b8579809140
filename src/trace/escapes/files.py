# Ways to the files of the host, and to files that the next program would find changed.
import os

LIBRARY = "/lib/python314.zip"


def folders():
    return [folder for folder, _, _ in os.walk("/") if not folder.startswith(("/proc", "/tmp"))]


# === the library's archive overwritten
def attempt():
    with open(LIBRARY, "wb") as file:
        file.write(b"x")
    return "written"


# === the library's archive made writable
def attempt():
    os.chmod(LIBRARY, 0o777)
    return "changed"


# === the folder of the library made writable
def attempt():
    os.chmod("/lib", 0o777)
    return "changed"


# === the library's archive truncated
def attempt():
    os.truncate(LIBRARY, 0)
    return "truncated"


# === the library's archive removed
def attempt():
    os.unlink(LIBRARY)
    return "removed"


# === a file moved over the library's archive
def attempt():
    with open("/tmp/other.zip", "wb") as file:
        file.write(b"x")
    os.rename("/tmp/other.zip", LIBRARY)
    return "moved"


# === the library's archive written through a link in /tmp
def attempt():
    os.symlink(LIBRARY, "/tmp/link")
    with open("/tmp/link", "r+b") as file:
        file.write(b"x")
    return "written"


# === the library's archive written through a hard link
def attempt():
    os.link(LIBRARY, "/tmp/link")
    with open("/tmp/link", "r+b") as file:
        file.write(b"x")
    return "written"


# === the library's archive written through a descriptor open for reading
def attempt():
    with open(LIBRARY, "rb") as file:
        return os.write(file.fileno(), b"x") and "written"


# === the library's archive opened to read and cut to nothing
def attempt():
    file = os.open(LIBRARY, os.O_RDONLY | os.O_TRUNC)
    return "" if os.fstat(file).st_size else "truncated"


# === a module put into site-packages
def attempt():
    import site
    import sys

    for folder in {*site.getsitepackages(), *sys.path, "/lib/python3.14", "/lib/python3.14/site-packages"}:
        try:
            with open(folder + "/sitecustomize.py", "w") as file:
                file.write("import builtins; builtins.len = None")
            return folder
        except OSError:
            pass


# === a new file in any folder but /tmp
def attempt():
    for folder in folders():
        try:
            with open(folder + "/left", "w") as file:
                file.write("x")
            return folder
        except OSError:
            pass


# === a new folder in any folder but /tmp
def attempt():
    for folder in folders():
        try:
            os.mkdir(folder + "/left")
            return folder
        except OSError:
            pass


# === a new folder or link in /tmp that outlives the program
def attempt():
    for make in (lambda: os.mkdir("/tmp/a"), lambda: os.makedirs("/tmp/a/b/c"), lambda: os.symlink("/lib", "/tmp/lib")):
        try:
            make()
        except OSError:
            pass


# === any file but those in /tmp opened for writing
def attempt():
    for folder, _, names in os.walk("/"):
        for name in names:
            path = os.path.join(folder, name)
            if path.startswith(("/tmp", "/run", "/dev", "/proc")):
                continue
            try:
                open(path, "r+b").close()
                return path
            except OSError:
                pass


# === files of the host
def attempt():
    for path in ("/etc/passwd", "/etc/hostname", "/root", "/home/user", "C:/Windows/win.ini", "/proc/version", "/sys"):
        try:
            return path + " " + str(os.listdir(path) if os.path.isdir(path) else open(path).read(20))
        except OSError:
            pass


# === files of the host by a mounted file system
def attempt():
    for kind in ("NODEFS", "IDBFS", "WORKERFS", "PROXYFS", "MEMFS"):
        if hasattr(os, "mount"):
            return kind
    import ctypes

    return str(ctypes.CDLL(None).mount(b"/", b"/tmp", b"NODEFS", 0, 0))


# === the process's memory and surroundings in /proc
def attempt():
    for name in ("mem", "environ", "cmdline", "maps", "status", "root/etc/hostname"):
        try:
            with open("/proc/self/" + name, "rb") as file:
                return name + " " + str(file.read(20))
        except OSError:
            pass


# === devices that are not the file system's own
def attempt():
    for name in ("mem", "kmem", "sda", "kvm", "fuse", "ptmx", "dri/card0", "video0"):
        try:
            return name + str(os.open("/dev/" + name, os.O_RDWR))
        except OSError:
            pass


# === more files than fit
def attempt():
    written = 0
    for number in range(100):
        with open(f"/tmp/{number}", "wb") as file:
            file.write(bytes(1 << 20))
        written += 1
    return f"{written} MiB"


# === one file made large without writing to it
def attempt():
    with open("/tmp/large", "wb") as file:
        file.truncate(1 << 30)
    return "1 GiB"


# === one file made large by a byte far behind its start
def attempt():
    with open("/tmp/large", "wb", buffering=0) as file:
        file.seek(900_000_000)
        file.write(b"x")
    return "900 MB"


# === another root
def attempt():
    os.chroot("/tmp")
    return "changed"
