"""The bridge between a parser in Python and the load tester llmuses.

A parser is a class `PerfPlugin` that derives from `PerfPluginBase`; `component.py` makes a WebAssembly
component of it. Everything that the host offers (the data set, the tokenizer, the log) is reached through
this file, so that a parser also runs in plain Python: in tests, `requests_from` stands in for the host.
"""

import builtins
import inspect
import json
import os
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

try:
    from componentize_py_types import Err
    from wit_world.imports import datasets, logging, tokenizer, types
except ImportError:  # plain Python: there is no host
    datasets = logging = tokenizer = types = None

    class Err(Exception):
        """What the host says instead of a result."""

        def __init__(self, value: str):
            super().__init__(value)
            self.value = value


# How many entries and request bodies cross the border in one call.
BATCH = 64


class BadEntry(Exception):
    """An entry of the data set of which no request can be made.

    Yield one from `build_request` to report the entry and go on with the next. Raise it, or anything else,
    and the entry is reported too, but a generator that has raised is over: nothing behind it is read.
    """


class BadResponse(Exception):
    """A response that makes its request a failed one. To be raised by `parse_responses`."""


@dataclass
class Tokens:
    """A number of tokens, and who counted them: "server", "tokenizer" or "parser"."""

    tokens: int
    source: str = "server"


Count = Union[int, Tokens, None]


@dataclass
class Summary:
    """What `parse_responses` found, where two counts do not say it all."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    # Which responses carried something that the model produced, by index. None: all of them.
    outputs: Optional[List[int]] = None
    # Further figures by name.
    metrics: Dict[str, float] = field(default_factory=dict)


class Dataset:
    """Stands for the data set of the run, as the argument `dataset`. It is not a path: only
    `dataset_line_by_line` and `dataset_json_list` can read it."""

    def __repr__(self) -> str:
        return "<the data set of this run>"


class PerfPluginBase:
    """What every parser derives from."""

    # The name that the parser gives itself. None: the name of its module.
    name: Optional[str] = None
    version: str = "0.1.0"
    description: str = ""
    # Request headers that the API needs. Those of the user take their place.
    headers: Dict[str, str] = {}

    def __init__(self) -> None:
        self._datasets = datasets
        # The number of the entry that was read last, from 1. One that could not be read counts too.
        self.entry_number = 0
        self._bad: List[str] = []
        self._skipped: Dict[str, int] = {}

    def build_request(
        self,
        model: str,
        prompt: Optional[str] = None,
        dataset: Optional[Dataset] = None,
        max_length: int = sys.maxsize,
        min_length: int = 0,
        **kwargs: Any,
    ) -> Iterator[Dict]:
        """Makes request bodies: a generator of dicts.

        Args:
            model: The name of the model.
            prompt: The prompt of `--prompt`, or None. A list where it is a whole conversation.
            dataset: Not None where there is a data set, for the two functions below.
            max_length: Only prompts of fewer characters than this are wanted.
            min_length: Only prompts of more characters than this are wanted.
            kwargs: What the user gave with `--parameters`. See `merge` about None.
        """
        raise NotImplementedError

    def parse_responses(self, responses: List[bytes], **kwargs: Any) -> Union[Tuple[Count, Count], Summary]:
        """Reads one finished response.

        Args:
            responses: The data of every event of a stream, without `[DONE]`; or the one body of a plain
                response.
            kwargs: What the user gave with `--parameters`.
            request: The body that was sent, as text. Only given to a function that names this argument.

        Returns:
            The number of prompt tokens and of completion tokens, or a `Summary`.
        """
        raise NotImplementedError

    def outputs(self, responses: List[bytes]) -> Optional[List[int]]:
        """Which responses carried something that the model produced, by index; None says all of them. Not
        asked where `parse_responses` returns a `Summary` that says it. The time to first token is that of
        the first output."""
        return None

    def dataset_line_by_line(self, dataset: Optional[Dataset] = None) -> Iterator[str]:
        """The lines of the data set, without line ends. A line that cannot be read is reported to the user,
        and the next one follows."""
        with self._datasets.line_by_line() as reader:
            while True:
                try:
                    lines = reader.next(BATCH)
                except Err as error:
                    self.entry_number += 1
                    self._bad.append(error.value)
                    continue
                if not lines:
                    return
                for line in lines:
                    self.entry_number += 1
                    yield line

    def dataset_json_list(self, dataset: Optional[Dataset] = None) -> Iterator[Any]:
        """The items of a data set that is one JSON array."""
        with self._datasets.json_list() as reader:
            while True:
                items = reader.next(BATCH)
                if not items:
                    return
                for item in items:
                    self.entry_number += 1
                    yield json.loads(item)

    def skip(self, reason: str) -> None:
        """Counts an entry that is passed over on purpose ("too short"), for the summary of the run."""
        self._skipped[reason] = self._skipped.get(reason, 0) + 1


def merge(defaults: Dict[str, Any], parameters: Dict[str, Any]) -> Dict[str, Any]:
    """`parameters` laid over `defaults`. A None takes a default away, as `--parameters stop=null` wants it."""
    merged = {**defaults, **parameters}
    return {name: value for name, value in merged.items() if name not in parameters or value is not None}


def count_tokens(text: str) -> Optional[Tokens]:
    """The tokens of `text` by the tokenizer of `--tokenizer-path`, or None where there is none."""
    if tokenizer is None or not tokenizer.available():
        return None
    try:
        return Tokens(tokenizer.count(text), "tokenizer")
    except Err as error:
        log(f"the tokenizer failed: {error.value}", "warn")
        return None


def read_chat(responses: List[bytes], request: str) -> Summary:
    """Reads a response of OpenAI's chat completions, as the servers in use write them: the chunks of a stream or
    one body. What is of another type than it should be says nothing. Counts are those of the server, or else of
    the tokenizer. Raises a `BadResponse` for an error of the server."""
    summary = Summary(outputs=[])
    said: List[str] = []
    has_parts = has_reasoning = False
    reasoning_tokens = total_tokens = None
    for index, response in enumerate(responses):
        chunk = json.loads(response) if response.strip() else None
        if not isinstance(chunk, dict):
            if chunk:
                raise BadResponse(f"chunk {index + 1} is not a JSON object")
            continue
        if _says_something(chunk.get("error")):
            raise BadResponse(f"the server reported an error: {json.dumps(chunk['error'], ensure_ascii=False)}")
        text, is_part = "", False
        for choice in _objects(chunk.get("choices")):
            found = [_said(choice.get(name)) for name in ("delta", "message")]
            part = choice["text"] if isinstance(choice.get("text"), str) else ""
            is_part = is_part or bool(found[0][0] or part)
            words, reasons = found[0] if found[0][0] else found[1]
            text += words + part
            has_reasoning = has_reasoning or reasons
        # The whole message once more, behind the parts of it, is no output.
        if text and (is_part or not has_parts):
            has_parts = has_parts or is_part
            summary.outputs.append(index)
            said.append(text)
        for usage in _usages(chunk):
            details = usage.get("completion_tokens_details")
            details = details if isinstance(details, dict) else {}
            summary.prompt_tokens = _told(usage.get("prompt_tokens"), summary.prompt_tokens)
            summary.completion_tokens = _told(usage.get("completion_tokens"), summary.completion_tokens)
            total_tokens = _told(usage.get("total_tokens"), total_tokens)
            reasoning_tokens = _told(details.get("reasoning_tokens"), reasoning_tokens)
    said = _once(summary.outputs, said)
    visible = (summary.completion_tokens or 0) - (reasoning_tokens or 0)
    apart = total_tokens == (summary.prompt_tokens or 0) + (summary.completion_tokens or 0) + (reasoning_tokens or 0)
    came = has_reasoning or "<think" in "".join(said) or len(said) > visible + 1
    if reasoning_tokens and said and visible >= 0 and not apart and not came:
        # Under this name the host looks for tokens that no time between chunks holds.
        summary.metrics["hidden_reasoning_tokens"] = reasoning_tokens
    if summary.completion_tokens is None:
        summary.completion_tokens = count_tokens("".join(said))
    if summary.prompt_tokens is None:
        messages = _objects(json.loads(request).get("messages"))
        summary.prompt_tokens = count_tokens("".join(_text(message.get("content")) for message in messages))
    return summary


def _once(outputs: List[int], said: List[str]) -> List[str]:
    """What was said, without what a server says again: in each chunk the text so far, or all of it at the end."""
    pairs = list(zip(said, said[1:]))
    if all(later.startswith(earlier) for earlier, later in pairs) and sum(a != b for a, b in pairs) >= 2:
        if not getattr(_once, "warned", False):
            _once.warned = True
            log("each chunk of the server repeats the text before it; that text is counted once", "warn")
        new = [True] + [earlier != later for earlier, later in pairs]
        outputs[:] = [index for index, is_new in zip(outputs, new) if is_new]
        return said[-1:]
    if len(said) >= 3 and said[-1] == "".join(said[:-1]):
        outputs.pop()
        return said[:-1]
    return said


def _said(message: Any) -> Tuple[str, bool]:
    """What a message or a part of one says, calls of functions included, and whether it reasons."""
    if not isinstance(message, dict):
        return "", False
    spellings = ("reasoning_content", "reasoning", "reasoning_details", "thinking")
    reasoning = "".join(dict.fromkeys(_text(message.get(name)) for name in spellings))
    said = reasoning + _text(message.get("content")) + _text(message.get("refusal"))
    calls = [call.get("function") for call in _objects(message.get("tool_calls"))] + [message.get("function_call")]
    for call in calls:
        if isinstance(call, dict):
            said += "".join(call[name] for name in ("name", "arguments") if isinstance(call.get(name), str))
    return said, bool(reasoning)


def _text(value: Any) -> str:
    """A text, or the texts of the parts of a content."""
    if isinstance(value, list):
        return "".join(_text(part) for part in value)
    if isinstance(value, dict):
        return "".join(_text(value.get(name)) for name in ("text", "thinking", "refusal", "summary", "content"))
    return value if isinstance(value, str) else ""


def _usages(chunk: Dict[str, Any]) -> List[Dict[str, Any]]:
    """The reports of tokens, wherever a server puts them; the usual place last."""
    groq = chunk.get("x_groq")
    found = [choice.get("usage") for choice in _objects(chunk.get("choices"))]
    found += [groq.get("usage") if isinstance(groq, dict) else None, chunk.get("usage")]
    usages = []
    for usage in found:
        if isinstance(usage, dict):
            usages += _objects(usage.get("models"))[:1] + [usage]
    return usages


def _told(told: Any, known: Count) -> Count:
    """A count that replaces an earlier one, unless it is none, or has fallen to zero."""
    is_count = isinstance(told, int) and not isinstance(told, bool) and told >= 0
    return told if is_count and (told or known is None) else known


def _objects(value: Any) -> List[Dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _says_something(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_says_something(member) for member in value.values())
    return bool(value)


def log(message: str, level: str = "info") -> None:
    """Says something to the person who runs the test; `level` is debug, info, warn or error."""
    if logging is not None:
        logging.log(logging.Level[level.upper()], message)


class Requests:
    """The bodies of one pass, in batches as the host asks for them."""

    def __init__(self, parser: PerfPluginBase, arguments: Dict[str, Any], parameters: Dict[str, Any]):
        self._parser = parser
        self._waiting: deque = deque()
        taken = sorted(arguments.keys() & parameters.keys())
        if taken:
            raise BadEntry(f"no --parameters {taken[0]}=... here: build_request has an argument of that name")
        self._bodies = iter(parser.build_request(**arguments, **parameters))
        # A generator runs when it is first asked. What it raises before it has read an entry is no fault of
        # the data set: no request can be made at all.
        first = self._pull()
        if isinstance(first, BadEntry) and parser.entry_number == 0:
            raise first
        self._waiting.appendleft(first)

    def next(self, most: int) -> List[str]:
        """At most `most` further bodies as JSON; none at the end. Raises `BadEntry` for one bad entry."""
        bodies: List[str] = []
        while len(bodies) < min(most, BATCH):
            body = self._waiting.popleft() if self._waiting else self._pull()
            if isinstance(body, str):
                bodies.append(body)
            elif bodies or body is None:
                self._waiting.appendleft(body)
                break
            else:
                raise body
        return bodies

    def skipped(self) -> List[Tuple[str, int]]:
        return list(self._parser._skipped.items())

    def _pull(self) -> Union[str, BadEntry, None]:
        """One body, a bad entry, or None at the end."""
        try:
            body = next(self._bodies)
            found = body if isinstance(body, BadEntry) else encode(body)
        except StopIteration:
            found = None
        except Exception as error:
            found = BadEntry(explain(error))
        # Lines that could not be read came before what was made of the next one.
        self._waiting.extend(BadEntry(text) for text in self._parser._bad)
        self._parser._bad.clear()
        self._waiting.append(found)
        return self._waiting.popleft()


def encode(body: Any) -> str:
    """A body as JSON text that can be sent."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text.encode()  # halves of surrogate pairs are no text that can be sent
    return text


def explain(error: Exception) -> str:
    """An exception in one line, with the place in the parser that it came from."""
    if isinstance(error, (BadEntry, BadResponse)):
        return str(error)
    if isinstance(error, Err):
        return str(error.value)
    place = ""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        # Not where the exception came up in the library, but where the parser called it.
        if file != __file__ and os.path.dirname(file) != os.path.dirname(json.__file__):
            place = f" ({os.path.basename(file)}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{place}"


def read(parser: PerfPluginBase, responses: List[bytes], request: str, parameters: Dict[str, Any]) -> Summary:
    """Has the parser read a response, and checks what it says."""
    arguments: Dict[str, Any] = {"responses": responses}
    if "request" in inspect.signature(parser.parse_responses).parameters:
        arguments["request"] = request
    parameters = {name: value for name, value in parameters.items() if name not in arguments}
    found = parser.parse_responses(**arguments, **parameters)
    if not isinstance(found, Summary):
        found = Summary(*found)
    outputs = parser.outputs(responses) if found.outputs is None else found.outputs
    return Summary(
        tokens(found.prompt_tokens),
        tokens(found.completion_tokens),
        None if outputs is None else sorted(set(outputs)),
        {str(name): float(value) for name, value in found.metrics.items()},
    )


def tokens(count: Count) -> Optional[Tokens]:
    """A count with its source, or None. Anything else is refused here, by name."""
    if count is None:
        return None
    if not isinstance(count, Tokens):
        count = Tokens(count)
    if not isinstance(count.tokens, int) or not 0 <= count.tokens < 1 << 64:
        raise BadResponse(f"{count.tokens!r} is not a number of tokens")
    return count


def component(parser: type) -> Tuple[type, type]:
    """The two classes that componentize-py looks for in `component.py`: the functions of the contract, and
    the iterator over request bodies."""
    reader = parser()

    class RequestIterator:
        def __init__(self, requests: Requests):
            self._requests = requests

        def next(self, max: int) -> List[str]:
            try:
                return self._requests.next(max)
            except Exception as error:
                raise Err(explain(error)) from None

        def skipped(self) -> List[Tuple[str, int]]:
            return self._requests.skipped()

    class PerfPlugin:
        def describe(self):
            _settle_in()
            return types.PluginInfo(
                name=parser.name or parser.__module__.rpartition(".")[2],
                version=parser.version,
                description=parser.description,
                headers=list(parser.headers.items()),
            )

        def build_request(self, options):
            _settle_in()
            prompt = options.prompt and options.prompt.value
            if isinstance(options.prompt, types.Prompt_Messages):
                prompt = json.loads(prompt)
            arguments = {
                "model": options.model,
                "prompt": prompt,
                "dataset": Dataset() if options.has_dataset else None,
                "max_length": options.max_length,
                "min_length": options.min_length,
            }
            try:
                return RequestIterator(Requests(parser(), arguments, json.loads(options.parameters)))
            except Exception as error:
                raise Err(explain(error)) from None

        def parse_responses(self, responses: List[bytes], request: str, parameters: str):
            _settle_in()
            try:
                found = read(reader, responses, request, json.loads(parameters))
                return types.ResponseSummary(
                    prompt_tokens=_count(found.prompt_tokens),
                    completion_tokens=_count(found.completion_tokens),
                    outputs=found.outputs,
                    metrics=list(found.metrics.items()),
                )
            except Exception as error:
                raise Err(explain(error)) from None

    return PerfPlugin, RequestIterator


def _count(count: Optional[Tokens]):
    return count and types.TokenCount(count.tokens, types.TokenSource[count.source.upper()])


_settled = False


def _settle_in() -> None:
    """Puts an exception in place of what a component does not have, once it runs as one. Left alone, a call of
    it would end the parser without a word about the reason. (What a module does while it is imported happens
    in the build, where there are files and a clock.)"""
    global _settled
    if _settled:
        return
    _settled = True
    sys.stdout = sys.stderr = _Log()
    # Modules that are part of the interpreter need no file; some are first imported while it runs.
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__name__", "") != "PathFinder"]
    sys.meta_path.append(_NoMoreModules)
    gone = [
        ("files", builtins, ["open"]),
        ("files", os, ["open", "stat", "lstat", "listdir", "scandir", "mkdir", "remove", "rename"]),
        ("clock", time, ["time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"]),
        ("clock", time, ["sleep", "process_time", "gmtime", "localtime", "strftime"]),
        ("source of random numbers", os, ["urandom"]),
    ]
    for what, module, names in gone:
        for name in names:

            def refuse(*_: Any, _text: str = f"{module.__name__}.{name}: a parser has no {what}", **__: Any):
                raise OSError(_text)

            setattr(module, name, refuse)


class _NoMoreModules:
    """What is left of the import system when the parser runs."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None):
        raise ImportError(f"{name} is imported too late: a parser has no files, so import it at the top of a module")


class _Log:
    """Takes the place of standard output, which a component does not have: `print` goes to the log."""

    def __init__(self) -> None:
        self._line = ""

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            log(line)
        return len(text)

    def flush(self) -> None:
        pass


# For tests in plain Python.


def requests_from(
    parser: type,
    lines: Optional[List[str]] = None,
    items: Optional[List[Any]] = None,
    prompt: Optional[str] = None,
    model: str = "m",
    max_length: int = sys.maxsize,
    min_length: int = 0,
    **parameters: Any,
) -> List[Union[Any, BadEntry]]:
    """All request bodies that a parser makes of a prompt, of lines, or of the items of a JSON array. A bad
    entry is in the list as `BadEntry`. Raises where no request can be made at all."""
    instance = parser()
    instance._datasets = _Lists(lines, items)
    arguments = {
        "model": model,
        "prompt": prompt,
        "dataset": None if lines is None and items is None else Dataset(),
        "max_length": max_length,
        "min_length": min_length,
    }
    requests = Requests(instance, arguments, parameters)
    made: List[Union[Any, BadEntry]] = []
    while True:
        try:
            batch = requests.next(1)
        except BadEntry as error:
            made.append(error)
            continue
        if not batch:
            return made
        made.extend(json.loads(body) for body in batch)


def summary_of(parser: type, responses: List[bytes], request: str = "{}", **parameters: Any) -> Summary:
    """What a parser reads in a response."""
    return read(parser(), responses, request, parameters)


class _Lists:
    """A data set out of lists, with the functions of the host's. An `Err` among them is a broken line."""

    def __init__(self, lines: Optional[List[Any]], items: Optional[List[Any]]):
        self._lines, self._items = lines, items

    def line_by_line(self) -> "_ListReader":
        return _ListReader(self._lines or [])

    def json_list(self) -> "_ListReader":
        return _ListReader([json.dumps(item) for item in self._items or []])


class _ListReader:
    def __init__(self, entries: List[Any]):
        self._entries = deque(entries)

    def next(self, max: int) -> List[str]:
        if not self._entries:
            return []
        entry = self._entries.popleft()
        if isinstance(entry, Err):
            raise entry
        return [entry]

    def __enter__(self) -> "_ListReader":
        return self

    def __exit__(self, *_: Any) -> None:
        pass
