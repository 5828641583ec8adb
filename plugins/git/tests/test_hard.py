"""Repositories as they occur in practice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from toolbox_git.contract import IDENTITY
from toolbox_git.contract import GitClient
from toolbox_git.contract import Repository
from toolbox_git.contract import done
from toolbox_git.contract import refused
from toolbox_git.names import to_text


def test_bare(git: GitClient, repo: Repository, tmp_path: Path) -> None:
    repo.commit()
    repo.git("clone", "-q", "--bare", str(repo.path), str(tmp_path / "bare.git"))
    bare = tmp_path / "bare.git"
    assert len(git.get("history", bare).json()) == 1
    assert git.get("branches", bare).json() == {"branches": ["main"], "current": "main"}
    for response in (
        git.get("status", bare),
        git.post("add", bare, files=["a"]),
        git.post("reset", bare, mode="hard"),
        git.post("restore", bare, files=["a"]),
        git.post("commit", bare, message="m", **IDENTITY),
        git.post("checkout", bare, branch="main"),
    ):
        refused(response, 400, "BAD_REQUEST")


def test_submodule(git: GitClient, repo: Repository, tmp_path: Path) -> None:
    inner = Repository(tmp_path / "inner")
    first = inner.commit()
    repo.commit()
    allow = ("-c", "protocol.file.allow=always")
    repo.git(*allow, "submodule", "add", "-q", str(inner.path), "sub")
    repo.git("commit", "-q", "-m", "with a submodule")
    assert git.files(repo.path) == {}
    sub = repo.path / "sub"
    assert git.status(sub)["currentBranch"] == "main"
    (sub / "a").write_text("changed\n")
    (sub / "untracked").write_text("")
    assert git.files(repo.path) == {}
    done(git.post("add", sub, files=["a"]))
    assert git.post("commit", sub, message="m", **IDENTITY).status_code == 200
    assert git.files(repo.path) == {"sub": ("Unmodified", "Modified")}
    done(git.post("add", repo.path, files=["sub"]))
    assert git.files(repo.path) == {"sub": ("Modified", "Unmodified")}
    done(git.post("clone", tmp_path / "clone", url=str(repo.path)))
    assert git.files(tmp_path / "clone") == {}
    assert (tmp_path / "clone/sub").is_dir()
    assert first


def test_lfs_pointers_stay_as_they_are(git: GitClient, repo: Repository, tmp_path: Path) -> None:
    """Without git-lfs a pointer is an ordinary file (AC-70)."""
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    repo.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    repo.commit("big.bin", pointer)
    done(git.post("clone", tmp_path / "clone", url=str(repo.path)))
    assert (tmp_path / "clone/big.bin").read_text() == pointer
    assert git.files(tmp_path / "clone") == {}


def test_names(git: GitClient, repo: Repository) -> None:
    """Every possible name of a file survives the round trip."""
    names = [
        b"caf\xc3\xa9",
        b"caf\xe9",
        b"new\nline",
        b'tab\tquote"back\\slash',
        b" leading and trailing ",
        b"d\xff/\xfe\xf0",
        "日本語/ファイル".encode(),
        b"-rf",
        b"a:b",
        b"*",
        b"x" * 255,
    ]
    for name in names:
        path = os.path.join(os.fsencode(repo.path), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(name)
    texts = sorted(to_text(name) for name in names)
    assert sorted(git.files(repo.path)) == texts
    done(git.post("add", repo.path, files=texts))
    assert git.post("commit", repo.path, message="names", **IDENTITY).status_code == 200
    assert git.files(repo.path) == {}
    (repo.path / os.fsdecode(names[1])).write_text("changed")
    assert git.files(repo.path) == {
        texts[texts.index(to_text(names[1]))]: ("Unmodified", "Modified")
    }
    done(git.post("restore", repo.path, files=[to_text(names[1])]))
    assert git.files(repo.path) == {}


def test_line_endings(git: GitClient, repo: Repository) -> None:
    repo.write(".gitattributes", "*.txt text eol=crlf\n*.sh text eol=lf\n*.bin -text\n")
    for name in ("a.txt", "b.sh", "c.bin"):
        (repo.path / name).write_bytes(b"one\r\ntwo\r\n")
    done(git.post("add", repo.path, files=["."]))
    assert git.post("commit", repo.path, message="m", **IDENTITY).status_code == 200
    assert git.files(repo.path) == {}
    assert repo.git("status", "--porcelain") == ""
    assert repo.git("cat-file", "-s", "HEAD:a.txt") == "8"
    assert repo.git("cat-file", "-s", "HEAD:c.bin") == "10"
    for name in ("a.txt", "b.sh", "c.bin"):
        (repo.path / name).unlink()
    done(git.post("reset", repo.path, mode="hard"))
    assert (repo.path / "a.txt").read_bytes() == b"one\r\ntwo\r\n"
    assert (repo.path / "b.sh").read_bytes() == b"one\ntwo\n"
    assert git.files(repo.path) == {}


def test_linked_worktree(git: GitClient, repo: Repository, tmp_path: Path) -> None:
    repo.commit()
    repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    side = tmp_path / "side"
    assert (side / ".git").is_file()
    (side / "b").write_text("b")
    done(git.post("add", side, files=["b"]))
    assert git.post("commit", side, message="on side", **IDENTITY).status_code == 200
    assert git.status(side)["currentBranch"] == "side"
    assert git.status(repo.path)["currentBranch"] == "main"
    assert git.files(side) == git.files(repo.path) == {}
    refused(git.delete_branch(repo.path, "side"), 409, "CONFLICT")
    done(git.post("config", side, key="a.b", value="c", scope="local"))
    assert repo.git("config", "a.b") == "c"


def test_nested_repository(git: GitClient, repo: Repository) -> None:
    repo.commit()
    inner = Repository(repo.path / "inner")
    inner.commit("file")
    assert git.files(repo.path) == {"inner/": ("Untracked", "Untracked")}
    assert git.files(inner.path) == {}


def test_conflicts(git: GitClient, repo: Repository) -> None:
    # AC-72
    repo.commit("a", "base\n")
    repo.commit("gone", "base\n")
    repo.git("checkout", "-q", "-b", "theirs")
    repo.write("both", "theirs\n")
    repo.write("gone", "theirs\n")
    repo.commit("a", "theirs\n")
    repo.git("checkout", "-q", "main")
    repo.write("both", "ours\n")
    (repo.path / "gone").unlink()
    repo.commit("a", "ours\n")
    done_ = subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x", "merge", "-q", "theirs"],
        cwd=repo.path,
        capture_output=True,
    )
    assert done_.returncode == 1
    assert git.files(repo.path) == {
        "a": ("Updated but unmerged", "Updated but unmerged"),
        "both": ("Added", "Added"),
        "gone": ("Deleted", "Updated but unmerged"),
    }
    response = git.post("commit", repo.path, message="m", **IDENTITY)
    refused(response, 409, "GIT_MERGE_CONFLICT")
    response = git.post("checkout", repo.path, branch="theirs")
    refused(response, 409, "GIT_MERGE_CONFLICT")
    for name in ("a", "both", "gone"):
        repo.write(name, "resolved\n")
    done(git.post("add", repo.path, files=["."]))
    assert git.post("commit", repo.path, message="merged", **IDENTITY).status_code == 200
    assert len(repo.git("log", "-1", "--format=%P").split()) == 2
    assert git.files(repo.path) == {}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Create a repository of 50,000 files, once for all backends: it takes long."""
    repo = Repository(tmp_path_factory.mktemp("large"))
    for directory in range(500):
        path = repo.path / f"d{directory % 20}" / f"e{directory}"
        path.mkdir(parents=True)
        for number in range(100):
            (path / f"f{number}").touch()
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "many")
    return repo


def test_many_files(git: GitClient, large: Repository, tmp_path: Path) -> None:
    """50,000 files take seconds: time grows with the number of files, not with its square."""
    assert git.files(large.path) == {}
    large.write("d1/e1/f1", f"changed in {tmp_path}\n")
    assert git.files(large.path) == {"d1/e1/f1": ("Unmodified", "Modified")}
    done(git.post("add", large.path, files=["d1/e1/f1"]))
    assert git.post("commit", large.path, message="one", **IDENTITY).status_code == 200
    large.git("fsck", "--strict")


def test_a_clone_takes_no_memory_of_the_service(git: GitClient, tmp_path: Path) -> None:
    """AC-70: any number of objects, here 24,000, is handled in another process."""
    history = Repository(tmp_path / "history")
    commits = (
        f"commit refs/heads/main\ncommitter a <a@x> {number} +0000\ndata 0\n"
        f"M 644 inline f\ndata {len(str(number))}\n{number}\n"
        for number in range(8_000)
    )
    command = ["git", "-C", str(history.path), "fast-import", "--quiet"]
    subprocess.run(command, input="".join(commits), text=True, check=True, timeout=120)
    url = f"file://{history.path}"
    done(git.post("clone", tmp_path / "shallow", url=url, depth=1))
    assert len(git.get("history", tmp_path / "shallow").json()) == 1
    (worker,) = git.service.workers()
    Path(f"/proc/{worker}/clear_refs").write_text("5")
    before = peak(worker)
    done(git.post("clone", tmp_path / "clone", url=url))
    assert (tmp_path / "clone" / "f").read_text() == "7999"
    assert peak(worker) - before < 4 << 20


def peak(pid: int) -> int:
    """Return the process's maximum memory in bytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) * 1024


def test_many_new_files(git: GitClient, repo: Repository) -> None:
    """No file is forgotten by an add or a checkout."""
    for number in range(5_000):
        path = repo.path / f"d{number % 50}" / f"f{number}"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    done(git.post("add", repo.path, files=["."]))
    assert git.post("commit", repo.path, message="many", **IDENTITY).status_code == 200
    for number in range(50):
        shutil.rmtree(repo.path / f"d{number}")
    done(git.post("reset", repo.path, mode="hard"))
    assert git.files(repo.path) == {}
    assert len(repo.git("ls-files").splitlines()) == 5_000


def test_many_commits(git: GitClient, repo: Repository) -> None:
    count = 8_000
    stream = b"".join(
        b"commit refs/heads/main\ncommitter T <t@x> %d +0000\ndata 2\n%02d\n" % (i, i % 100)
        for i in range(count)
    )
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repo.path, input=stream, check=True)
    commits = git.get("history", repo.path).json()
    assert len(commits) == count
    assert commits[0]["hash"] == repo.git("rev-parse", "HEAD")
    assert [commit["message"] for commit in commits[:2]] == ["99", "98"]


def test_two_at_once(git: GitClient, repo: Repository) -> None:
    """Operations wait for each other: no commit is lost, and the repository is sound."""
    repo.commit()
    errors = []

    def work(number: int) -> None:
        name = f"file-{number}"
        repo.write(name)
        for response in (
            git.post("add", repo.path, files=[name]),
            git.post("commit", repo.path, message=name, allow_empty=True, **IDENTITY),
            git.get("status", repo.path),
        ):
            if response.status_code != 200:
                errors.append(response.text)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert repo.git("rev-list", "--count", "HEAD") == "9"
    assert len(repo.git("ls-files").split()) == 9
    assert git.files(repo.path) == {}


def test_lock_of_another_program(git: GitClient, repo: Repository) -> None:
    repo.commit()
    repo.write("b")
    lock = repo.write(".git/index.lock", "")
    refused(git.post("add", repo.path, files=["b"]), 409, "CONFLICT")
    refused(git.post("reset", repo.path, mode="hard"), 409, "CONFLICT")
    assert git.status(repo.path)["currentBranch"] == "main"
    lock.unlink()
    done(git.post("add", repo.path, files=["b"]))


def test_links_that_lead_out(git: GitClient, repo: Repository, tmp_path: Path) -> None:
    """A checkout doesn't write through a symbolic link that replaced a directory."""
    outside = tmp_path / "outside"
    outside.mkdir()
    repo.commit("dir/file", "inside\n")
    repo.git("checkout", "-q", "-b", "dev")
    repo.commit("dir/file", "changed\n")
    repo.git("checkout", "-q", "main")
    (repo.path / "dir/file").unlink()
    (repo.path / "dir").rmdir()
    (repo.path / "dir").symlink_to(outside)
    git.post("checkout", repo.path, branch="dev")
    git.post("restore", repo.path, files=["dir/file"])
    git.post("reset", repo.path, mode="hard", target="dev")
    assert list(outside.iterdir()) == []
    assert (repo.path / "dir/file").read_text() == "changed\n"


def test_no_permission(repo: Repository) -> None:
    """Root has every permission, so the service's part is run as another user."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from toolbox_git.repository import find\n"
        "from toolbox.errors import Forbidden\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: find(sys.argv[1], Path('/'))\n"
        "except Forbidden: print('forbidden')\n"
    )
    repo.path.chmod(0)
    command = [sys.executable, "-c", code, str(repo.path)]
    said = subprocess.run(command, capture_output=True, text=True)
    repo.path.chmod(0o755)
    assert (said.stdout, said.stderr) == ("forbidden\n", "")


def test_warnings_are_no_failure(git: GitClient, repo: Repository) -> None:
    """Git's message "unable to access" is no reason to report a transport error."""
    repo.commit()
    (repo.path / ".gitignore").symlink_to("a")
    refused(git.post("commit", repo.path, message="m", **IDENTITY), 409, "CONFLICT")
    assert git.files(repo.path) == {".gitignore": ("Untracked", "Untracked")}
