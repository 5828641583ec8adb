"""The tools of the group ``files``: names and semantics are those of the file system server, which
agents know.
"""

from __future__ import annotations

from toolbox_mcp.tool import Tool
from toolbox_mcp.tools import listing
from toolbox_mcp.tools import reading
from toolbox_mcp.tools import searching
from toolbox_mcp.tools import writing
from toolbox_mcp.tools.arguments import OnePath

READING = (
    Tool(
        name="read_text_file",
        description="Read a text file, as UTF-8. With head or tail only the first or the last "
        "lines, with start from that line on. A file that is too long for one result is cut, with "
        "a note on how to go on.",
        arguments=reading.ReadText,
        run=reading.read_text_file,
        read_only=True,
    ),
    Tool(
        name="read_media_file",
        description="Read an image, a sound or another file that isn't text.",
        arguments=OnePath,
        run=reading.read_media_file,
        read_only=True,
    ),
    Tool(
        name="read_multiple_files",
        description="Read several text files at once. One that can't be read is reported in its "
        "place. They share the space of one result.",
        arguments=reading.ReadMany,
        run=reading.read_multiple_files,
        read_only=True,
    ),
)

WRITING = (
    Tool(
        name="write_file",
        description="Create a file, or replace all of its content. Missing directories are made. "
        "To change a part of a file, use edit_file.",
        arguments=writing.Write,
        run=writing.write_file,
        destructive=True,
        idempotent=True,
    ),
    Tool(
        name="edit_file",
        description="Replace texts in a file, all or none, and return the change as a diff. Each "
        "oldText must occur; its first occurrence is replaced. Indentation may differ if oldText "
        "is of whole lines. dryRun shows the diff without changing the file.",
        arguments=writing.EditFile,
        run=writing.edit_file,
        destructive=True,
    ),
    Tool(
        name="create_directory",
        description="Make a directory, and the missing ones above it. One that exists is fine.",
        arguments=OnePath,
        run=writing.create_directory,
        idempotent=True,
    ),
    Tool(
        name="move_file",
        description="Move or rename a file or directory. Fails if the destination exists.",
        arguments=writing.Move,
        run=writing.move_file,
        destructive=True,
    ),
)

LISTING = (
    Tool(
        name="list_directory",
        description="List a directory, one entry a line: [FILE] or [DIR] and the name.",
        arguments=OnePath,
        run=listing.list_directory,
        result=listing.Listing,
        read_only=True,
    ),
    Tool(
        name="list_directory_with_sizes",
        description="List a directory with the sizes of files and their sum.",
        arguments=listing.SortedPath,
        run=listing.list_directory_with_sizes,
        result=listing.Listing,
        read_only=True,
    ),
    Tool(
        name="directory_tree",
        description="Show a directory and all below it as JSON: name, type, children of "
        "directories. excludePatterns leave out parts, such as node_modules or .git.",
        arguments=listing.TreePath,
        run=listing.directory_tree,
        read_only=True,
    ),
    Tool(
        name="search_files",
        description="Find files and directories whose path below the given one matches a glob: "
        "*.py in that directory, **/*.py in all below it. Links to directories aren't followed.",
        arguments=listing.Search,
        run=listing.search_files,
        result=listing.Found,
        read_only=True,
    ),
    Tool(
        name="search_text",
        description="Find lines of text files below path that match a regular expression, with "
        "context lines around them. Files that .gitignore ignores are left out.",
        arguments=searching.SearchText,
        run=searching.search_text,
        read_only=True,
    ),
    Tool(
        name="get_file_info",
        description="Show size, time of the last change, permissions and owner of a file or "
        "directory.",
        arguments=OnePath,
        run=listing.get_file_info,
        result=listing.Information,
        read_only=True,
    ),
)

TOOLS = (*READING, *WRITING, *LISTING)
