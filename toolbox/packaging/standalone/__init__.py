"""The service with a Python of its own, for images that have none: ``toolbox bundle --standalone``.

Two steps. The *base* is CPython for musl with its own loader, so that a program needs nothing of an
image but the kernel: whatever libc it has, or none. It is compiled once for each architecture, from
Debian's sources, by ``zig cc``, and kept in the user's cache. The *assembly* puts the wheels of the
chosen groups into a copy of the base, in seconds.
"""
