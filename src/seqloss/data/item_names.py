"""Names of images or sounds as people write them, and the files that they mean."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import PurePosixPath

from seqloss.data.folder import Folder
from seqloss.errors import DataError


class ItemNames:
    """Finds the file that a name means, and counts the names that are not written like their files.

    A name with backslashes, or without its suffix, is accepted if such a file exists and the name as it is written has
    none.

    Args:
        folder: of the data.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.changed: Counter[str] = Counter()
        self.examples: dict[str, tuple[str, str]] = {}

    def find(self, name: str) -> str:
        """The name of the file; the given name if there is no such file."""
        if self._exists(name):
            return name
        slashes = name.replace("\\", "/")
        if slashes != name and self._exists(slashes):
            return self._count("with backslashes", name, slashes)
        if not self.folder.is_item(name):
            found = self._by_stem.get(str(PurePosixPath(slashes)), [])
            if len(found) == 1:
                return self._count("without a suffix", name, found[0])
        return name

    def _exists(self, name: str) -> bool:
        try:
            return (self.folder.images / name).exists()
        except (OSError, ValueError):
            return False

    def _count(self, kind: str, name: str, found: str) -> str:
        self.changed[kind] += 1
        self.examples.setdefault(kind, (name, found))
        return found

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        stems = defaultdict(list)
        for item in self.folder.items:
            stems[str(PurePosixPath(item).with_suffix(""))].append(item)
        return stems

    def notes(self) -> list[str]:
        """A line for each kind of name that was read in another way than it is written."""
        return [
            f"names: {count} {kind}, {self.examples[kind][0]} is read as {self.examples[kind][1]}"
            for kind, count in self.changed.items()
        ]

    def refuse_if_none_exists(self, names: Sequence[str]) -> None:
        """Raise if no name has a file, but all of them have one in another folder.

        Raises:
            DataError: with the --images that finds them.
        """
        if not names or any(self._exists(name) for name in names[:100]) or not self.folder.items:
            return
        wanted = PurePosixPath(names[0])
        places = [
            PurePosixPath(item).parents[len(wanted.parts) - 1]
            for item in self.folder.items
            if PurePosixPath(item).parts[-len(wanted.parts) :] == wanted.parts
        ]
        for place in places:
            if all((self.folder.images / place / name).exists() for name in names[:100]):
                raise DataError(
                    f"{self.folder.describe()}: the {self.folder.item}s are not beside it; they are in {place}: add "
                    f"{self.folder.kind.option} {self.folder.images / place}"
                )
