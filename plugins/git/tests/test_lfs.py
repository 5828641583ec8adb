"""Git LFS: a real git-lfs, and a server that requires a password for its objects as well."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toolbox_git.contract import IDENTITY
from toolbox_git.contract import GitClient
from toolbox_git.contract import Repository
from toolbox_git.contract import done
from toolbox_git.contract import refused

USER = "ada-the-user"
PASSWORD = "s3cret/p@ss:wörd"
LOGIN = {"username": USER, "password": PASSWORD}
CONTENT = "large\n" * 1000
FILTER = """[filter "lfs"]
\trequired = true
\tclean = git-lfs clean -- %f
\tsmudge = git-lfs smudge -- %f
\tprocess = git-lfs filter-process
"""


@pytest.fixture(autouse=True, scope="session")
def lfs_binary() -> None:
    if shutil.which("git-lfs") is None:
        pytest.skip("git-lfs is not installed (Debian and Ubuntu: package git-lfs)")


@pytest.fixture(scope="module")
def git(make_git: Callable[[str], GitClient]) -> GitClient:
    """Start a service with the git binary, whose user has installed Git LFS."""
    made = make_git("cli")
    (made.service.directory / "system").write_text(FILTER)
    return made


@pytest.fixture(scope="module")
def dulwich(make_git: Callable[[str], GitClient]) -> GitClient:
    """Start a service without the git binary, and so without git-lfs."""
    return make_git("dulwich")


@pytest.fixture
def work(repo: Repository, server: Any) -> Repository:
    """Clone ``private.git``, which has one commit, in which LFS tracks ``*.bin``."""
    server.make("private.git")
    repo.commit(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    repo.git("push", "-q", str(server.root / "private.git"), "main")
    repo.git("remote", "add", "origin", f"{server.url}/private.git")
    return repo


def commit(git: GitClient, repo: Repository, name: str, text: str = CONTENT) -> None:
    """Commit a file through the service and check that the repository has a pointer."""
    repo.write(name, text)
    done(git.post("add", repo.path, files=[name]))
    response = git.post("commit", repo.path, message=name, **IDENTITY)
    assert response.status_code == 200, response.text
    assert repo.git("show", f"HEAD:{name}").startswith("version https://git-lfs")


def there(server: Any) -> str:
    """Return the commit of the server's branch."""
    return Repository(server.root / "private.git", "--bare").git("rev-parse", "main")


def test_push_uploads(git: GitClient, work: Repository, server: Any) -> None:
    """F-A10: a commit is pushed with the objects of its files, or not at all."""
    commit(git, work, "a.bin")
    done(git.post("push", work.path, set_upstream=True, **LOGIN))
    assert list(server.objects.values()) == [CONTENT.encode()]
    assert there(server) == work.git("rev-parse", "main")
    done(git.post("push", work.path, **LOGIN))


def test_push_of_another_branch(git: GitClient, work: Repository, server: Any) -> None:
    """F-A10: the objects of all commits are pushed, of branches that aren't checked out too."""
    work.git("checkout", "-q", "-b", "side")
    commit(git, work, "a.bin")
    work.git("rm", "-q", "a.bin", ".gitattributes")
    work.git("commit", "-q", "-m", "gone again")
    work.git("checkout", "-q", "main")
    done(git.post("push", work.path, branch="side", **LOGIN))
    assert list(server.objects.values()) == [CONTENT.encode()]


def test_push_that_can_not_upload(git: GitClient, work: Repository, server: Any) -> None:
    """F-A10, F-C13: the objects are missing, or the credentials are wrong."""
    before = there(server)
    commit(git, work, "a.bin")
    wrong = git.post("push", work.path, username=USER, password="wrong")
    refused(wrong, 401, "GIT_AUTH_FAILED")
    refused(git.post("push", work.path), 401, "GIT_AUTH_FAILED")
    shutil.rmtree(work.path / ".git/lfs/objects")
    (work.path / "a.bin").unlink()
    refused(git.post("push", work.path, **LOGIN), 422, "GIT_FILTER_FAILED")
    assert there(server) == before


def test_pull_and_clone(git: GitClient, work: Repository, server: Any, tmp_path: Path) -> None:
    """F-A11: private objects are fetched with the request's credentials by every operation."""
    url = f"{server.url}/private.git"
    early, late = tmp_path / "early", tmp_path / "late"
    done(git.post("clone", early, url=url, **LOGIN))
    commit(git, work, "a.bin")
    done(git.post("push", work.path, **LOGIN))
    done(git.post("pull", early, **LOGIN))
    done(git.post("clone", late, url=url, **LOGIN))
    at = tmp_path / "at"
    done(git.post("clone", at, url=url, commit_id=work.git("rev-parse", "HEAD"), **LOGIN))
    for clone in (early, late, at):
        assert (clone / "a.bin").read_text() == CONTENT
        assert git.files(clone) == {}
        kept = [path.read_bytes() for path in clone.rglob("*") if path.is_file()]
        assert not any(PASSWORD.encode() in each for each in kept)


def test_what_is_not_there(git: GitClient, work: Repository, server: Any, tmp_path: Path) -> None:
    """F-A11, F-C13: it is a typed error, and a failed pull changes nothing."""
    url = f"{server.url}/private.git"
    clone = tmp_path / "clone"
    done(git.post("clone", clone, url=url, **LOGIN))
    before = Repository(clone).git("rev-parse", "HEAD")
    commit(git, work, "a.bin")
    done(git.post("push", work.path, **LOGIN))
    server.objects.clear()
    refused(git.post("pull", clone, **LOGIN), 422, "GIT_FILTER_FAILED")
    assert git.files(clone) == {}
    assert Repository(clone).git("rev-parse", "HEAD") == before
    response = git.post("clone", tmp_path / "other", url=url, **LOGIN)
    refused(response, 422, "GIT_FILTER_FAILED")
    assert not (tmp_path / "other").exists()


def test_checkout_without_credentials(
    git: GitClient, work: Repository, server: Any, tmp_path: Path
) -> None:
    """F-A11, F-C13: stored credentials are used; without any it is a typed error."""
    commit(git, work, "a.bin")
    commit(git, work, "a.bin", "newer\n")
    done(git.post("push", work.path, **LOGIN))
    clone = tmp_path / "clone"
    done(git.post("clone", clone, url=f"{server.url}/private.git", **LOGIN))
    response = git.post("checkout", clone, branch="HEAD~1")
    refused(response, 401, "GIT_AUTH_FAILED")
    done(git.post("reset", clone, mode="hard"))
    host = server.url.partition("//")[2]
    done(git.post("credentials", host=host, protocol="http", **LOGIN))
    done(git.post("checkout", clone, branch="HEAD~1"))
    assert (clone / "a.bin").read_text() == CONTENT
    (git.service.directory / "home/.git-credentials").unlink()


def test_dulwich(
    git: GitClient, dulwich: GitClient, work: Repository, server: Any, tmp_path: Path
) -> None:
    """F-A10: it uploads no objects, so it refuses to push. Pointers are ordinary files."""
    before = there(server)
    commit(dulwich, work, "a.bin")
    response = dulwich.post("push", work.path, **LOGIN)
    assert "the backend cli" in refused(response, 501, "NOT_IMPLEMENTED")
    assert there(server) == before
    done(git.post("push", work.path, **LOGIN))
    clone = tmp_path / "clone"
    done(dulwich.post("clone", clone, url=f"{server.url}/private.git", **LOGIN))
    assert (clone / "a.bin").read_text().startswith("version https://git-lfs")
    assert dulwich.files(clone) == {}
    Repository(clone).commit("b")
    done(dulwich.post("push", clone, **LOGIN))


def test_without_the_program(
    make_service: Any, work: Repository, server: Any, tmp_path: Path
) -> None:
    """F-A10: objects that can't be uploaded are an error."""
    (work.path / ".git/lfs/objects").mkdir(parents=True)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("git", "sh"):
        (programs / name).symlink_to(str(shutil.which(name)))
    git = GitClient(make_service(env={"PATH": str(programs)}))
    work.commit("b")
    message = refused(git.post("push", work.path, **LOGIN), 422, "GIT_FILTER_FAILED")
    assert "git-lfs is not installed" in message
    assert there(server) != work.git("rev-parse", "main")
