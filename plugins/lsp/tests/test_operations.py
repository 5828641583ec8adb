"""Every operation, by real pylsp and real typescript-language-server."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from daytona_toolbox_api_client import CompletionList
from daytona_toolbox_api_client import LspSymbol

MakeProject = Callable[[str, str], Any]
Shared = Callable[[str], Any]

PYTHON = """\
import os


class Greeter:
    def greet(self, name):
        '''Say hello to somebody.'''
        return "hello " + name


greeter = Greeter()
greeter.greet("you")
"""
TYPESCRIPT = """\
export class Greeter {
    /** Say hello to somebody. */
    greet(name: string): string {
        return "hello " + name
    }
}
const greeter = new Greeter()
greeter.greet("you")
"""
JAVASCRIPT = TYPESCRIPT.replace(": string", "")
CASES = [
    # language, file, text, line of "greeter.greet(...)"
    ("python", "sample.py", PYTHON, 10),
    ("typescript", "sample.ts", TYPESCRIPT, 7),
    ("javascript", "sample.js", JAVASCRIPT, 7),
]
each_language = pytest.mark.parametrize(("language", "file", "text", "line"), CASES)


def at(line: int, character: int) -> dict[str, int]:
    return {"line": line, "character": character}


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [LspSymbol.from_dict(symbol).name for symbol in answer.json()]


def ranges(found: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """File name, line and character of each location."""
    return [(each["uri"].rpartition("/")[2], *each["range"]["start"].values()) for each in found]


@each_language
def test_completions(shared: Shared, language: str, file: str, text: str, line: int) -> None:
    project = shared(language)
    uri = project.write(file, text)
    answer = project.complete(uri, line, len("greeter."))
    assert answer.status_code == 200, answer.text
    completions = CompletionList.from_dict(answer.json())
    assert completions is not None
    items = {item.label.partition("(")[0]: item for item in completions.items}
    # What replaces the dot too must not bring a second one.
    assert items["greet"].insert_text == "greet"
    assert items["greet"].filter_text in (None, "greet")
    context = {"triggerKind": 2, "triggerCharacter": "."}
    position = at(line, len("greeter."))
    again = project.call("/lsp/completions", uri=uri, position=position, context=context)
    assert "greet" in again.text
    # The very first position is one like any other.
    assert project.complete(uri, 0, 0).status_code == 200


@each_language
def test_document_symbols(shared: Shared, language: str, file: str, text: str, line: int) -> None:
    project = shared(language)
    uri = project.write(file, text)
    empty = project.write(f"empty-{file}", "")
    assert {"Greeter", "greet", "greeter"} <= set(names(project.symbols(uri)))
    symbol = next(each for each in project.symbols(uri).json() if each["name"] == "Greeter")
    assert symbol["kind"] == 5
    assert symbol["location"]["uri"] == (project.directory / file).as_uri()
    assert symbol["location"]["range"]["start"]["line"] == text.partition("class")[0].count("\n")
    assert project.symbols(empty).json() == []


@each_language
def test_workspace_symbols(
    make_project: MakeProject, language: str, file: str, text: str, line: int
) -> None:
    project = make_project(language, f"workspace-{language}")
    project.write(file, text)
    project.write(f"below/other-{file}", text.replace("Greeter", "GreeterTwo"))
    project.write(f"node_modules/foreign/{file}", text.replace("Greeter", "GreeterThree"))
    project.start()
    # Nothing is open yet.
    found = names(project.get("/lsp/workspacesymbols", query="Greeter"))
    assert {"Greeter", "GreeterTwo"} <= set(found)
    assert "GreeterThree" not in found
    assert project.get("/lsp/workspacesymbols", query="nothing-like-this").json() == []
    assert project.get("/lsp/workspacesymbols", query="").status_code == 400


@each_language
def test_diagnostics_follow_the_file(
    shared: Shared, language: str, file: str, text: str, line: int
) -> None:
    project = shared(language)
    uri = project.write(file, text)
    found: list[dict[str, Any]] = []

    def problems() -> list[dict[str, Any]]:
        answer = project.call("/x/lsp/diagnostics", uri=uri, wait=60)
        assert answer.status_code == 200, answer.text
        assert answer.json()["complete"] is True
        found[:] = [each for each in answer.json()["diagnostics"] if each.get("severity", 1) == 1]
        return found

    project.service.wait_for(lambda: problems() == [], "a clean bill")
    # No notification by the client: agents just write the file.
    project.write(file, text.replace('"hello " + name', '"hello " +'))
    # A server that publishes may still speak of what was before.
    project.service.wait_for(lambda: len(problems()) == 1, "the problem")
    assert found[0]["range"]["start"]["line"] in (line - 4, line - 3)
    assert found[0]["message"]
    project.write(file, text)
    project.service.wait_for(lambda: problems() == [], "a clean bill")


@each_language
def test_hover_definition_and_references(
    shared: Shared, language: str, file: str, text: str, line: int
) -> None:
    project = shared(language)
    uri = project.write(file, text)
    greet = {"uri": uri, "position": at(line, len("greeter.g"))}
    hover = project.call("/x/lsp/hover", **greet).json()
    assert "Say hello to somebody." in hover["value"]
    assert hover["kind"] == "markdown"
    column = 8 if language == "python" else 4
    defined = text.splitlines().index(
        next(each for each in text.splitlines() if each.lstrip().startswith(("greet(", "def ")))
    )
    definition = (file, defined, column)
    use = (file, line, len("greeter."))
    assert ranges(project.call("/x/lsp/definition", **greet).json()) == [definition]
    found = ranges(project.call("/x/lsp/references", **greet).json())
    assert sorted(found) == sorted([definition, use])
    only_uses = project.call("/x/lsp/references", **greet, includeDeclaration=False).json()
    assert use in ranges(only_uses)
    nothing = project.call(
        "/x/lsp/hover", uri=uri, position=at(2 if language == "python" else 5, 0)
    )
    assert nothing.status_code == 200


@each_language
def test_rename_in_two_files(
    make_project: MakeProject, language: str, file: str, text: str, line: int
) -> None:
    project = make_project(language, f"rename-{language}")
    uri = project.write(file, text)
    odd = "'\U0001f600'; "
    using = f"import {{ Greeter }} from './sample'\nconst e = {odd}new Greeter().greet('me')\n"
    if language == "python":
        using = f"from sample import Greeter\n\n\u00e9 = {odd}Greeter().greet('me')\n"
    other = project.write(f"other.{file.partition('.')[2]}", using)
    project.start()
    project.call("/lsp/did-open", uri=other)
    place = {"uri": uri, "position": at(line, len("greeter.g")), "newName": "welcome"}
    proposed = project.call("/x/lsp/rename", **place).json()
    assert proposed["applied"] is False
    assert len(proposed["documents"]) == 2
    assert (project.directory / file).read_text() == text
    done = project.call("/x/lsp/rename", **place, apply=True).json()
    assert done["applied"] is True
    # In which order a server names the documents is its own affair.
    assert sorted(done["documents"], key=str) == sorted(proposed["documents"], key=str)
    assert (project.directory / file).read_text() == text.replace("greet(", "welcome(")
    after = (project.directory / other.rpartition("/")[2]).read_text()
    assert after == using.replace("greet(", "welcome(")
    # The server has the new text.
    assert "welcome" in names(project.symbols(uri))


@each_language
def test_formatting(shared: Shared, language: str, file: str, text: str, line: int) -> None:
    project = shared(language)
    untidy = text.replace("greeter = ", "greeter   =   ")
    uri = project.write(file, untidy)
    proposed = project.call("/x/lsp/formatting", uri=uri).json()
    assert proposed["applied"] is False and proposed["documents"][0]["edits"]
    assert (project.directory / file).read_text() == untidy
    assert project.call("/x/lsp/formatting", uri=uri, apply=True).json()["applied"] is True
    assert (project.directory / file).read_text() == text
    assert project.call("/x/lsp/formatting", uri=uri).json()["documents"] == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_f_a3_owner_mode_and_links_are_kept(shared: Shared) -> None:
    project = shared("python")
    uri = project.write("owned.py", PYTHON)
    linked = project.write("linked.py", PYTHON)
    owned, link = project.directory / "owned.py", project.directory / "link.py"
    os.chown(owned, 1000, 1001)
    owned.chmod(0o640)
    os.link(project.directory / "linked.py", project.directory / "other.txt")
    link.symlink_to("owned.py")
    place = {"uri": uri, "position": at(10, len("greeter.g")), "newName": "welcome"}
    assert project.call("/x/lsp/rename", **place, apply=True).json()["applied"] is True
    assert owned.read_text() == PYTHON.replace("greet(", "welcome(")
    info = owned.stat()
    assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (1000, 1001, 0o640)
    assert link.is_symlink()
    place["uri"] = linked
    assert project.call("/x/lsp/rename", **place, apply=True).json()["applied"] is True
    assert (project.directory / "other.txt").read_text() == PYTHON.replace("greet(", "welcome(")


@each_language
def test_twenty_at_once(shared: Shared, language: str, file: str, text: str, line: int) -> None:
    project = shared(language)
    uris = [project.write(f"m{number}{file}", text) for number in range(4)]

    def ask(number: int) -> bool:
        uri = uris[number % 4]
        if number % 2:
            return "Greeter" in names(project.symbols(uri))
        return "greet" in project.complete(uri, line, len("greeter.")).text

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(ask, range(20))) == [True] * 20


@each_language
def test_names_with_spaces_and_beyond_ascii(
    make_project: MakeProject, language: str, file: str, text: str, line: int
) -> None:
    project = make_project(language, f"pröject of {language} #1 100%")
    uri = project.write(f"b\u00e4d näme? 50%{file}", text)
    project.start()
    assert project.call("/lsp/did-open", uri=uri).status_code == 200
    assert "Greeter" in names(project.symbols(uri))
    proper = project.symbols(uri).json()[0]["location"]["uri"]
    assert proper == (project.directory / uri.rpartition("/")[2]).as_uri()
    # The proper spelling is understood too, and is the same document.
    assert names(project.symbols(proper)) == names(project.symbols(uri))
    assert "greet" in project.complete(proper, line, len("greeter.")).text
    assert project.call("/lsp/did-close", uri=proper).status_code == 200


def test_what_is_opened_again_is_read_again(make_project: MakeProject) -> None:
    project = make_project("python", "reopened")
    uri = project.write("a.py", "class First: pass\n")
    project.start()
    project.call("/lsp/did-open", uri=uri)
    assert names(project.symbols(uri)) == ["First"]
    project.call("/lsp/did-close", uri=uri)
    project.write("a.py", "class Other: pass\n")
    project.call("/lsp/did-open", uri=uri)
    assert names(project.symbols(uri)) == ["Other"]
