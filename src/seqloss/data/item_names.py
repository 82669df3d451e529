"""Names of images or sounds as people write them, and the files that they mean."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import PurePosixPath

from seqloss.data.folder import Folder
from seqloss.errors import DataError

FIRST = 100
"""Names that are looked at to find out where all of them are."""


class ItemNames:
    """Finds the file that a name means, and counts the names that are not written like their files.

    A name with backslashes, without its suffix, or in another case or Unicode normal form is accepted if exactly one
    such file exists and the name as it is written has none.

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
        found = self._by_key.get(_key_of(slashes), [])
        if len(found) == 1:
            return self._count("in another case or Unicode form", name, found[0])
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

    @cached_property
    def _by_key(self) -> dict[str, list[str]]:
        keys = defaultdict(list)
        for item in self.folder.items:
            keys[_key_of(item)].append(item)
        return keys

    def notes(self) -> list[str]:
        """A line for each kind of name that was read in another way than it is written."""
        return [
            f"names: {count} {kind}, {self.examples[kind][0]} is read as {self.examples[kind][1]}"
            for kind, count in self.changed.items()
        ]

    def refuse_if_none_exists(self, names: Sequence[str]) -> None:
        """Raise if no name has a file, but all of them would have one below another folder or without a prefix.

        Args:
            names: as they are written, below the folder of images.

        Raises:
            DataError: with what to do.
        """
        if not names or not self.folder.items or any(self._exists(self.find(name)) for name in names[:FIRST]):
            return
        shown = [name.replace("\\", "/") for name in names]
        for place in self._find_places(PurePosixPath(shown[0])):
            if all(self._exists(str(place / name)) for name in shown[:FIRST]):
                raise DataError(self._describe_place(place, shown))
        parts = PurePosixPath(shown[0]).parts
        for k in range(1, len(parts)):
            prefix = shown[0].removesuffix("/".join(parts[k:]))
            if all(name.startswith(prefix) and self._exists(name.removeprefix(prefix)) for name in shown[:FIRST]):
                raise DataError(self._describe_prefix(names[0][: len(prefix)], k))

    def _find_places(self, wanted: PurePosixPath) -> list[PurePosixPath]:
        """The folders below which an item has this name."""
        items = [PurePosixPath(item) for item in self.folder.items]
        return [
            item.parents[len(wanted.parts) - 1] for item in items if item.parts[-len(wanted.parts) :] == wanted.parts
        ]

    def _describe_place(self, place: PurePosixPath, names: Sequence[str]) -> str:
        source, item = self.folder.describe(), self.folder.item
        if len(set(names)) < len(names):
            return (
                f"{source}: {names[0]} stands for several {item}s, such as {place}/{names[0]}; put each file of texts "
                f"into the folder of its {item}s, such as {place}/labels.csv"
            )
        folder = self.folder.images / place
        return f"{source}: the {item}s are not beside it; they are in {place}: add {self.folder.kind.option} {folder}"

    def _describe_prefix(self, prefix: str, count: int) -> str:
        """What to do about `count` folders before each name."""
        home = self.folder.images.resolve()
        problem = f"{self.folder.describe()}: every name begins with {prefix}"
        if "/".join(home.parts[-count:]) + "/" == prefix.replace("\\", "/"):
            option = f"{self.folder.kind.option} {home.parents[count - 1]}"
            return f"{problem}, the folder of the {self.folder.item}s itself: add {option}"
        return f"{problem}, which is not in {self.folder.images}; remove {prefix} from the names"


def _key_of(name: str) -> str:
    """The same for names that differ in case or in Unicode normal form only."""
    return unicodedata.normalize("NFC", str(PurePosixPath(name)).casefold())
