"""Enter control groups, set limits, and become another program, which inherits them.

Usage: ``limited.py [procs=FILE | cores=N | data=BYTES | nproc=N]... -- FD PROGRAM [ARGUMENT]...``.
An errno is written to FD if that fails.
"""

import os
import resource
import sys


def apply(setting: str) -> None:
    """Do what a setting says. Raises OSError, ValueError."""
    name, _, value = setting.partition("=")
    if name == "procs":
        file = os.open(value, os.O_WRONLY)
        os.write(file, b"0")  # Whoever writes it.
        os.close(file)
    elif name == "cores":
        # Some by chance: or all jobs would share the first ones.
        cores = sorted(os.sched_getaffinity(0))
        first = int.from_bytes(os.urandom(2), "big")
        chosen = {cores[(first + number) % len(cores)] for number in range(int(value))}
        os.sched_setaffinity(0, chosen)
    else:
        kind = resource.RLIMIT_DATA if name == "data" else resource.RLIMIT_NPROC
        hard = resource.getrlimit(kind)[1]
        limit = int(value) if hard == resource.RLIM_INFINITY else min(int(value), hard)
        resource.setrlimit(kind, (limit, limit))


def read(path: str) -> bytes:
    """Return a file's content."""
    file, content = os.open(path, os.O_RDONLY), b""
    while data := os.read(file, 1 << 16):
        content += data
    os.close(file)
    return content


def main(arguments: list[str]) -> None:
    """Become the program, or report the errno and end."""
    border = arguments.index("--")
    fd, program = int(arguments[border + 1]), arguments[border + 2 :]
    os.set_inheritable(fd, False)
    try:
        # As it was at the start: Python may have set a variable of the locale (PEP 538).
        pairs = [pair.partition(b"=") for pair in read("/proc/self/environ").split(b"\0") if pair]
        environment = {name: value for name, _, value in pairs}
        for setting in arguments[:border]:
            apply(setting)
        os.execvpe(program[0], program, environment)
    except OSError as error:
        os.write(fd, b"%d" % (error.errno or 0))
    except (MemoryError, ValueError):
        os.write(fd, b"12")  # ENOMEM: the limit is too low even for this.
    os._exit(127)


main(sys.argv[1:])
