"""A plugin whose import goes on until the service ends. A file tells that it has begun."""

import os
import time
from pathlib import Path

Path(os.environ["TRACE_FILE"]).touch()
time.sleep(1000)
