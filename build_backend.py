"""The build backend of every distribution of this repository (PEP 517 and PEP 660).

Installers make an environment with setuptools for each package that they build: for these, two
seconds twenty times over. This module needs nothing but the standard library, and so no such
environment. Each plugin has a link to it.

The metadata are the ``[project]`` table of ``pyproject.toml`` (PEP 621), as any other backend would
read them, and the version that of the file ``VERSION``. A wheel has every file of the one package
``toolbox*``; its times and modes are those of no machine, so that equal files make equal wheels.
"""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import os
import stat
import tarfile
import time
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TAG = "py3-none-any"

EPOCH = max(int(os.environ.get("SOURCE_DATE_EPOCH", 0)), 315532800)
"""Seconds since 1970 that files get as their time; a ZIP file has none before 1980."""

Config = dict[str, Any] | None
"""Options of an installer, of which there are none here."""


def build_wheel(
    wheel_directory: str, config_settings: Config = None, metadata_directory: str | None = None
) -> str:
    """Write a wheel of the project in the current directory; return its file name."""
    return _write_wheel(wheel_directory, {str(file): file for file in _files()})


def build_editable(
    wheel_directory: str, config_settings: Config = None, metadata_directory: str | None = None
) -> str:
    """Write a wheel that adds the current directory to ``sys.path``; return its file name.

    A line of a ``.pth`` file is what type checkers understand, which don't run import hooks.
    """
    return _write_wheel(wheel_directory, {f"_{_package()}.pth": f"{Path.cwd()}\n".encode()})


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: Config = None
) -> str:
    """Write the ``.dist-info`` directory that a wheel would have; return its name."""
    project = _project()
    for name, content in _metadata(project).items():
        file = Path(metadata_directory, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return _dist_info(project)


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_sdist(sdist_directory: str, config_settings: Config = None) -> str:
    """Write a source distribution, from which the same wheel can be built; return its file name."""
    project = _project()
    readme = [project["readme"]] if isinstance(project["readme"], str) else []
    single = map(Path, ["pyproject.toml", f"{__name__}.py", "VERSION", *readme])
    path = Path(sdist_directory, f"{_stem(project)}.tar.gz")
    with (
        gzip.GzipFile(path, "w", mtime=EPOCH) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        top = _stem(project)
        _add(archive, f"{top}/PKG-INFO", _core_metadata(project))
        for file in sorted({*single, *_licenses(project), *_files()}):
            _add(archive, f"{top}/{file}", file)
    return path.name


def _project() -> dict[str, Any]:
    """Return the project's table, with its version."""
    table: dict[str, Any] = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
    return {**table, "version": Path("VERSION").read_text("ascii").strip()}


def _stem(project: dict[str, Any]) -> str:
    return f"{project['name'].replace('-', '_')}-{project['version']}"


def _dist_info(project: dict[str, Any]) -> str:
    return f"{_stem(project)}.dist-info"


def _package() -> Path:
    (package,) = Path().glob("toolbox*/__init__.py")
    return package.parent


def _files() -> list[Path]:
    """Return every file of the package, but none that Python wrote when it was imported."""
    found = _package().rglob("*")
    return sorted(file for file in found if file.is_file() and "__pycache__" not in file.parts)


def _licenses(project: dict[str, Any]) -> list[Path]:
    return sorted(file for glob in project["license-files"] for file in Path().glob(glob))


def _metadata(project: dict[str, Any]) -> dict[str, bytes]:
    """Return the files of the ``.dist-info`` directory by their names, ``RECORD`` left out."""
    directory = _dist_info(project)
    wheel = f"Wheel-Version: 1.0\nGenerator: {__name__}\nRoot-Is-Purelib: true\nTag: {TAG}\n"
    licenses = {str(file): file.read_bytes() for file in _licenses(project)}
    return {
        f"{directory}/METADATA": _core_metadata(project),
        f"{directory}/WHEEL": wheel.encode(),
        f"{directory}/entry_points.txt": _entry_points(project).encode(),
        **{f"{directory}/licenses/{name}": text for name, text in licenses.items()},
    }


def _core_metadata(project: dict[str, Any]) -> bytes:
    """Return the core metadata, version 2.4: headers of an email, and the description as its text.

    https://packaging.python.org/en/latest/specifications/core-metadata/
    """
    readme = project["readme"]
    text = Path(readme).read_text("utf-8") if isinstance(readme, str) else readme["text"]
    fields = [
        ("Metadata-Version", "2.4"),
        ("Name", project["name"]),
        ("Version", project["version"]),
        ("Summary", project["description"]),
        ("License-Expression", project["license"]),
        *(("License-File", str(file)) for file in _licenses(project)),
        *(("Classifier", classifier) for classifier in project.get("classifiers", ())),
        ("Requires-Python", project["requires-python"]),
        *(("Requires-Dist", requirement) for requirement in project["dependencies"]),
        *_extras(project.get("optional-dependencies", {})),
        ("Description-Content-Type", "text/x-rst"),
    ]
    return "".join(f"{name}: {value}\n" for name, value in fields).encode() + b"\n" + text.encode()


def _extras(extras: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    for extra, requirements in extras.items():
        yield "Provides-Extra", extra
        for requirement in requirements:
            name, _, marker = requirement.partition(";")
            condition = f"({marker.strip()}) and " if marker else ""
            yield "Requires-Dist", f'{name.strip()}; {condition}extra == "{extra}"'


def _entry_points(project: dict[str, Any]) -> str:
    groups = dict(project.get("entry-points", {}))
    if "scripts" in project:
        groups["console_scripts"] = project["scripts"]
    return "\n".join(
        "".join([f"[{group}]\n", *(f"{name} = {target}\n" for name, target in points.items())])
        for group, points in groups.items()
    )


def _write_wheel(directory: str, content: dict[str, Path | bytes]) -> str:
    project = _project()
    path = Path(directory, f"{_stem(project)}-{TAG}.whl")
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    with zipfile.ZipFile(path, "w") as archive:
        for name, source in {**content, **_metadata(project)}.items():
            data = _read(source)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
            rows.writerow([name, f"sha256={digest.decode()}", len(data)])
            archive.writestr(_entry(name, source), data, zipfile.ZIP_DEFLATED)
        name = f"{_dist_info(project)}/RECORD"
        rows.writerow([name, "", ""])
        archive.writestr(_entry(name, b""), record.getvalue(), zipfile.ZIP_DEFLATED)
    return path.name


def _entry(name: str, source: Path | bytes) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, time.gmtime(EPOCH)[:6])
    entry.external_attr = (stat.S_IFREG | _mode(source)) << 16
    return entry


def _add(archive: tarfile.TarFile, name: str, source: Path | bytes) -> None:
    data = _read(source)
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), _mode(source), EPOCH
    archive.addfile(entry, io.BytesIO(data))


def _read(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


def _mode(source: Path | bytes) -> int:
    executable = isinstance(source, Path) and source.stat().st_mode & stat.S_IXUSR
    return 0o755 if executable else 0o644
