"""The bridge between a format of data sets in Python and the load tester llmuses (contract 0.2).

A format is a class that derives from `Format`; `component.py` makes a WebAssembly component of it. It reads the data
set through this file and `llmuses_plugin.py`, so that it runs in plain Python too: in tests, `entries_from` stands in
for the host.
"""

import json
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

import llmuses_plugin as kit
from llmuses_plugin import BadEntry, PerfPluginBase

try:
    from componentize_py_types import Err
    from wit_world.imports import types
except ImportError:  # plain Python: there is no host
    types = None


class Format(PerfPluginBase):
    """What every format derives from. `dataset_line_by_line()` and `dataset_json_list()` read the data set, and
    `skip(reason)` counts an entry that is passed over on purpose."""

    def entries(self, options: Dict[str, Any]) -> Iterator[Union[Dict, BadEntry]]:
        """Makes conversations: a generator of dicts. wit/entry.schema.json has their members. Yield a `BadEntry` to
        report an entry and go on with the next. `options` has `field`, where the user names one, and `file_name`."""
        raise NotImplementedError

    def recognises(self, head: str) -> bool:
        """Whether a file that begins like this is likely to be of this format."""
        return False

    def build_request(self, options: Dict[str, Any]) -> Iterator[Union[Dict, BadEntry]]:
        return self.entries(options)


def component(kind: type) -> Tuple[type, type]:
    """The two classes that componentize-py looks for in `component.py`: the functions of the contract, and the
    iterator over entries."""
    name = kind.name or kind.__module__.rpartition(".")[2]

    class Entries:
        def __init__(self, entries: kit.Requests):
            self._entries = entries

        def next(self, max: int) -> List[str]:
            try:
                return self._entries.next(max)
            except Exception as error:
                raise Err(kit.explain(error)) from None

        def skipped(self) -> List[Tuple[str, int]]:
            return self._entries.skipped()

    class DatasetPlugin:
        def describe(self):
            kit._settle_in()
            return [types.FormatInfo(name=name, version=kind.version, description=kind.description)]

        def recognises(self, head: bytes, options: str) -> Optional[str]:
            kit._settle_in()
            return name if kind().recognises(head.decode(errors="replace")) else None

        def open(self, options: str):
            kit._settle_in()
            try:
                return Entries(kit.Requests(kind(), {"options": json.loads(options)}, {}))
            except Exception as error:
                raise Err(kit.explain(error)) from None

    return DatasetPlugin, Entries


def entries_from(
    kind: type, lines: Optional[List[str]] = None, items: Optional[List[Any]] = None
) -> List[Union[Dict, BadEntry]]:
    """For tests: all conversations that a format makes of lines, or of the items of a JSON array. A bad entry is in
    the list as `BadEntry`."""
    instance = kind()
    instance._datasets = kit._Lists(lines, items)
    entries = kit.Requests(instance, {"options": {}}, {})
    made: List[Union[Dict, BadEntry]] = []
    while True:
        try:
            batch = entries.next(1)
        except BadEntry as error:
            made.append(error)
            continue
        if not batch:
            return made
        made.extend(json.loads(entry) for entry in batch)
