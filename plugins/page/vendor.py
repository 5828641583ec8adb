"""Fetch the libraries of the page from the npm registry, as ``toolbox_page/vendor`` has them.

``python vendor.py`` writes the versions named here; ``python vendor.py --check`` compares the
directory with the registry. To update, change a version here, run it and commit both.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).parent / "toolbox_page" / "vendor"

PACKAGES: dict[str, dict[str, str]] = {
    "@xterm/xterm@6.0.0": {
        "lib/xterm.mjs": "xterm.mjs.gz",
        "css/xterm.css": "xterm.css",
        "LICENSE": "xterm.LICENSE.txt",
    },
    "@xterm/addon-fit@0.11.0": {
        "lib/addon-fit.mjs": "addon-fit.mjs",
        "LICENSE": "addon-fit.LICENSE.txt",
    },
    "@xterm/addon-search@0.16.0": {
        "lib/addon-search.mjs": "addon-search.mjs",
        "LICENSE": "addon-search.LICENSE.txt",
    },
    "@xterm/addon-unicode-graphemes@0.4.0": {
        "lib/addon-unicode-graphemes.mjs": "addon-unicode-graphemes.mjs",
        "LICENSE": "addon-unicode-graphemes.LICENSE.txt",
    },
    "@xterm/addon-web-links@0.12.0": {
        "lib/addon-web-links.mjs": "addon-web-links.mjs",
        "LICENSE": "addon-web-links.LICENSE.txt",
    },
    "swagger-ui-dist@5.35.0": {
        "swagger-ui-bundle.js": "swagger-ui-bundle.js.gz",
        "swagger-ui.css": "swagger-ui.css.gz",
        "LICENSE": "swagger-ui.LICENSE.txt",
        "NOTICE": "swagger-ui.NOTICE.txt",
        "swagger-ui-bundle.js.LICENSE.txt": "swagger-ui-bundle.js.LICENSE.txt",
    },
}
"""The files to take from each package, and their names here; those with .gz are compressed."""


def fetch() -> dict[str, bytes]:
    """Return the files by their names here, with ``versions.json``, which lists their origin."""
    files: dict[str, bytes] = {}
    versions: dict[str, dict[str, object]] = {}
    for package, wanted in PACKAGES.items():
        with tempfile.TemporaryDirectory() as directory:
            # Only packs what was published; no script of the package is run.
            command = ["npm", "pack", "--silent", "--ignore-scripts", package]
            subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL)
            (archive,) = Path(directory).iterdir()
            with tarfile.open(archive) as tar:
                for name, ours in wanted.items():
                    content = _member(tar, name)
                    files[ours] = gzip.compress(content, mtime=0) if _is_packed(ours) else content
                manifest = json.loads(_member(tar, "package.json"))
        versions[manifest["name"]] = {
            "version": manifest["version"],
            "license": manifest["license"],
            "files": sorted(wanted.values()),
        }
    files["versions.json"] = (json.dumps(versions, indent=2) + "\n").encode()
    return files


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(f"package/{name}")
    assert file is not None
    return file.read()


def differences(files: dict[str, bytes]) -> list[str]:
    """The names of the files that are not here as they are in ``files``."""
    here = _contents({path.name: path.read_bytes() for path in VENDOR.iterdir()})
    there = _contents(files)
    return sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))


def _contents(files: dict[str, bytes]) -> dict[str, bytes]:
    # Versions of zlib compress the same content to other bytes.
    return {
        name: gzip.decompress(content) if _is_packed(name) else content
        for name, content in files.items()
    }


def _is_packed(name: str) -> bool:
    return name.endswith(".gz")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, only compare")
    check = parser.parse_args().check
    files = fetch()
    changed = differences(files)
    for name in changed:
        print(f"{name} differs" if check else f"{name} written")
        if not check and name in files:
            (VENDOR / name).write_bytes(files[name])
        elif not check:
            (VENDOR / name).unlink()
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
