"""Remotes and configuration."""

from __future__ import annotations

from pathlib import Path

from toolbox_git.contract.client import GitClient
from toolbox_git.contract.client import done
from toolbox_git.contract.client import refused
from toolbox_git.contract.repository import Repository


class ConfigurationContract:
    """Part of :class:`toolbox_git.contract.GitContract`."""

    def test_remotes(self, git: GitClient, repo: Repository, tmp_path: Path) -> None:
        assert git.get("remotes", repo.path).json() == {"remotes": []}
        given = {"name": "up", "url": "https://example.org/a.git"}
        done(git.post("remotes", repo.path, fetch=False, overwrite=False, **given), 201)
        refused(git.post("remotes", repo.path, **given), 409, "CONFLICT")
        other = Repository(tmp_path / "other")
        other.commit()
        given["url"] = str(other.path)
        done(git.post("remotes", repo.path, overwrite=True, fetch=True, **given), 201)
        assert git.get("remotes", repo.path).json() == {"remotes": [given]}
        assert repo.git("rev-parse", "up/main") == other.git("rev-parse", "HEAD")
        for name, url in (("-x", "https://a/b"), ("a b", "https://a/b"), ("n", "ext::sh")):
            refused(git.post("remotes", repo.path, name=name, url=url), 400, "BAD_REQUEST")

    def test_config(self, git: GitClient, repo: Repository) -> None:
        for scope, path in (("global", ""), ("system", ""), ("local", repo.path)):
            given: dict[str, str] = {"key": "some.thing.Key", "scope": scope}
            assert git.get("config", path, **given).json() == {"value": None}
            for value in (f"of {scope}", "", 'multi\nline # ; "quoted" \\ ', " ü "):
                done(git.post("config", path, value=value, **given))
                assert git.get("config", path, **given).json() == {"value": value}
        repo.git("config", "--add", "multi.valued", "1")
        repo.git("config", "--add", "multi.valued", "2")
        response = git.get("config", repo.path, key="multi.valued", scope="local")
        assert response.json() == {"value": "2"}
        done(git.post("config", repo.path, key="multi.valued", value="3", scope="local"))
        assert repo.git("config", "--get-all", "multi.valued") == "3"
        assert repo.git("config", "some.thing.Key") == " ü "

    def test_config_refuses(self, git: GitClient, tmp_path: Path) -> None:
        for key in ("nosection", "a.", ".b", "a.1", "a b.c", "-x.y z", "a\n.b"):
            refused(git.get("config", key=key, scope="global"), 400, "BAD_REQUEST")
            response = git.post("config", key=key, value="x")
            refused(response, 400, "BAD_REQUEST")
        refused(git.get("config", key="a.b", scope="local"), 400, "BAD_REQUEST")
        refused(git.get("config", key="a.b", scope="worktree"), 400, "BAD_REQUEST")
        response = git.get("config", tmp_path, key="a.b", scope="local")
        refused(response, 404, "GIT_REPO_NOT_FOUND")

    def test_configure_user(self, git: GitClient, repo: Repository) -> None:
        done(git.post("config/user", repo.path, name="N", email="e@x", scope="local"))
        assert repo.git("config", "user.name") == "N"
        assert repo.git("config", "user.email") == "e@x"
        done(git.post("config/user", name="G", email="g@x", scope="global"))
        response = git.get("config", key="user.email", scope="global")
        assert response.json() == {"value": "g@x"}
