"""The first requests may come all at once."""

from __future__ import annotations

import subprocess
import sys

# Without prepare() this crashes in one of the first rounds.
SCRIPT = """
import sys
import threading
import types

import msgspec

from toolbox.request import decode_json
from toolbox.request import prepare

SOURCE = '''
from __future__ import annotations
import msgspec
class Inner(msgspec.Struct, frozen=True):
    number: int
class Outer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    some_text: str
    inner: Inner | None = None
    more: list[Inner] | None = None
'''
sys.setswitchinterval(1e-6)
for number in range(100):
    module = types.ModuleType(f"made{number}")
    sys.modules[module.__name__] = module
    exec(SOURCE, module.__dict__)
    prepare(module.Outer)
    barrier = threading.Barrier(8)
    def decode():
        barrier.wait()
        decode_json(b'{"someText": "x", "inner": {"number": 1}, "more": []}', module.Outer)
    threads = [threading.Thread(target=decode) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
"""


def test_what_was_prepared_can_be_decoded_by_many_threads() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], timeout=120)
    assert done.returncode == 0
