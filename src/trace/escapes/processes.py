# Ways to other processes and other machines.
import os

URL = "http://localhost/canary/python"


# === os.system
def attempt():
    status = os.system("echo x > /tmp/ran")
    return "ran" if status == 0 or os.path.exists("/tmp/ran") else ""


# === os.popen
def attempt():
    return os.popen("echo ran").read()


# === os.fork
def attempt():
    return f"process {os.fork()}"


# === os.execv
def attempt():
    os.execv("/bin/sh", ["sh", "-c", "true"])


# === os.posix_spawn
def attempt():
    return str(os.posix_spawn("/bin/sh", ["sh", "-c", "true"], {}))


# === subprocess
def attempt():
    import subprocess

    return str(subprocess.run(["true"], check=True))


# === multiprocessing
def attempt():
    import multiprocessing

    process = multiprocessing.Process(target=print)
    process.start()
    return str(process.pid)


# === a pseudo-terminal
def attempt():
    import pty

    return str(pty.fork())


# === os.kill of the interpreter's parent
def attempt():
    os.kill(os.getppid() or 1, 9)
    return "sent"


# === os.kill of every process
def attempt():
    os.kill(-1, 15)
    return "sent"


# === a thread
def attempt():
    import threading

    ran = []
    thread = threading.Thread(target=lambda: ran.append(1))
    thread.start()
    thread.join()
    return "ran" if ran else ""


# === a thread by _thread
def attempt():
    import _thread

    return str(_thread.start_new_thread(print, ()))


# === a pool of threads
def attempt():
    from concurrent.futures import ThreadPoolExecutor

    return str(ThreadPoolExecutor(1).submit(lambda: "ran").result())


# === a socket
def attempt():
    import socket

    return str(socket.create_connection(("127.0.0.1", 80), timeout=1))


# === a listening socket
def attempt():
    import socket

    listener = socket.socket()
    listener.bind(("0.0.0.0", 8080))
    listener.listen()
    return str(listener)


# === a datagram
def attempt():
    import socket

    return str(socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 53)))


# === two connected sockets
def attempt():
    import socket

    return str(socket.socketpair())


# === a name looked up
def attempt():
    import socket

    return str(socket.gethostbyname("localhost"))


# === the host's name
def attempt():
    import socket

    name = socket.gethostname()
    return "" if name in ("", "emscripten", "localhost") else name


# === urllib
def attempt():
    from urllib.request import urlopen

    return str(urlopen(URL, timeout=1).read(10))


# === http.client
def attempt():
    from http.client import HTTPConnection

    connection = HTTPConnection("localhost", timeout=1)
    connection.request("GET", "/canary/python")
    return str(connection.getresponse())


# === asyncio's connections
def attempt():
    import asyncio

    async def connect():
        return await asyncio.open_connection("127.0.0.1", 80)

    return str(asyncio.run(connect()))


# === asyncio's processes
def attempt():
    import asyncio

    async def start():
        return await asyncio.create_subprocess_exec("true")

    return str(asyncio.run(start()))


# === a timer's signal
def attempt():
    import signal

    heard = []
    signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.000001)
    for _ in range(100_000):
        if heard:
            return "heard"


# === limits of the process
def attempt():
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (1, 1))
    return "set"


# === the user's identity
def attempt():
    import getpass

    os.setuid(0)
    return getpass.getuser()


# === what the environment says of the host
def attempt():
    own = {"PYTHONHASHSEED", "HOME", "USER", "LOGNAME", "PATH", "PWD", "LANG", "_", "TZ", "PYTHONINSPECT",
           "LD_LIBRARY_PATH"}
    more = sorted(set(os.environ) - own)
    host = [name for name in ("HOME", "PATH", "LANG", "_", "PWD") if any(
        part in os.environ.get(name, "") for part in ("deno", "chrom", "http:", "file:", "blob:", "/usr/local", "root"))]
    return " ".join(more + host)


# === pipes between descriptors
def attempt():
    read, write = os.pipe()
    os.write(write, b"x")
    os.dup2(write, 1)
    return str(read)
