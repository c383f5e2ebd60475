"""The bridge between an API in Python and the load tester llmuses (contract 0.2).

An API is a class that derives from `Api`; `component.py` makes a WebAssembly component of it. `llmuses_plugin.py`
has what it may call: `merge`, `read_chat`, `count_tokens`, `log`. Both run in plain Python too, for tests.
"""

import json
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple, Union

import llmuses_plugin as kit
from llmuses_plugin import BadEntry, Count, Summary, merge

try:
    from componentize_py_types import Err, Ok
    from wit_world.imports import types
except ImportError:  # plain Python: there is no host
    types = None


@dataclass
class Request:
    """A request, where a body of JSON does not say it all."""

    body: bytes
    content_type: str = "application/json"
    # None: the path of the API.
    path: Optional[str] = None


@dataclass
class Response(Summary):
    """A `Summary` with what contract 0.2 adds."""

    # Which of the outputs carry the answer, by index: neither reasoning nor a tool call. None: unknown.
    answers: Optional[List[int]] = None
    # The tokens that there were by the end of each output. None: the server does not say.
    tokens_so_far: Optional[List[int]] = None
    finish_reason: Optional[str] = None
    # The message of the model for the next turn of a conversation.
    reply: Optional[Dict] = None


class Api:
    """What every API derives from."""

    # The name that the API gives itself. None: the name of its module.
    name: Optional[str] = None
    version: str = "0.1.0"
    description: str = ""
    # Request headers that the API needs. Those of the user take their place.
    headers: Dict[str, str] = {}
    # The path of the API, for a URL without one.
    path: Optional[str] = None
    # How responses are split into events: by_content_type, sse, ndjson, json_array or plain.
    framing: str = "by_content_type"
    # What a model is asked for: generate, embed, rerank or other.
    task: str = "generate"

    def request(self, item: Dict, model: str, parameters: Dict[str, Any]) -> Union[Dict, Request]:
        """The request of an item: a body of JSON, or a `Request`. Raise a `BadEntry` where there can be none.

        Args:
            item: What is asked: wit/item.schema.json has its members.
            model: The name of the model.
            parameters: Those of the item, over them those of `--parameters`. See `merge` about None.
        """
        raise NotImplementedError

    def response(self, responses: List[bytes], request: bytes) -> Union[Tuple[Count, Count], Summary]:
        """Reads one finished response: the data of every event of a stream, without `[DONE]`, or the one body of a
        plain response. `request` is the body that was sent. Raise a `BadResponse` to make the request a failed one.
        """
        raise NotImplementedError


def chat_body(item: Dict, model: str) -> Dict:
    """The body of a request to OpenAI's chat completions."""
    if "messages" not in item and "prompt" not in item:
        raise BadEntry("this API takes messages or a prompt, and the item has neither")
    body = {
        "model": model,
        "messages": item.get("messages") or [{"role": "user", "content": item["prompt"]}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    output = item.get("output", {})
    least = output.get("max") if output.get("exact") else output.get("min")
    more = {"tools": item.get("tools"), "max_completion_tokens": output.get("max"), "min_tokens": least}
    body.update({name: value for name, value in more.items() if value is not None})
    if output.get("exact"):
        body["ignore_eos"] = True
    return body


def chat_response(responses: List[bytes], request: bytes) -> Response:
    """Reads a response of OpenAI's chat completions."""
    found = Response(**vars(kit.read_chat(responses, request.decode())))
    text = ""
    for response in responses:
        chunk = json.loads(response) if response.strip() else None
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        for choice in choices[:1] if isinstance(choices, list) else []:
            if isinstance(choice, dict):
                reason = choice.get("finish_reason")
                found.finish_reason = reason if isinstance(reason, str) else found.finish_reason
                message = choice.get("delta") or choice.get("message")
                said = message.get("content") if isinstance(message, dict) else None
                text += said if isinstance(said, str) else ""
    found.reply = {"role": "assistant", "content": text}
    return found


def request_of(api: Api, item: Dict, model: str, parameters: Dict[str, Any]) -> Request:
    """The request of an item. A whole body in it is sent as it is, with the model and the parameters of the user."""
    model = item.get("model", model)
    if "body" in item:
        body = item["body"]
        if isinstance(body, dict):
            body = merge({**body, "model": model} if "model" in body else body, parameters)
    else:
        body = api.request(item, model, {**item.get("parameters", {}), **parameters})
    return body if isinstance(body, Request) else Request(kit.encode(body).encode())


def summary_of(api: Api, responses: List[bytes], request: bytes) -> Response:
    """What an API reads in a response, checked."""
    found = api.response(responses, request)
    if not isinstance(found, Summary):
        found = Summary(*found)
    found = Response(**vars(found))
    found.prompt_tokens = kit.tokens(found.prompt_tokens)
    found.completion_tokens = kit.tokens(found.completion_tokens)
    return found


def component(kind: type) -> type:
    """The class that componentize-py looks for in `component.py`: the functions of the contract."""
    api = kind()

    class PerfPlugin:
        def describe(self):
            kit._settle_in()
            return types.ApiInfo(
                name=api.name or kind.__module__.rpartition(".")[2],
                version=api.version,
                description=api.description,
                headers=list(api.headers.items()),
                path=api.path,
                framing=types.Framing[api.framing.upper()],
                task=types.Task[api.task.upper()],
            )

        def build_request(self, items: List[str], options):
            kit._settle_in()
            parameters = json.loads(options.parameters)
            return [self._built(item, options.model, parameters) for item in items]

        def _built(self, item: str, model: str, parameters: Dict[str, Any]):
            try:
                made = request_of(api, json.loads(item), model, parameters)
                return Ok(types.Request(made.body, made.content_type, made.path))
            except Exception as error:
                return Err(kit.explain(error))

        def parse_responses(self, responses: List[bytes], request: bytes, options):
            kit._settle_in()
            try:
                found = summary_of(api, responses, request)
                return types.ResponseSummary(
                    prompt_tokens=kit._count(found.prompt_tokens),
                    completion_tokens=kit._count(found.completion_tokens),
                    outputs=found.outputs,
                    answers=found.answers,
                    tokens_so_far=found.tokens_so_far,
                    finish_reason=found.finish_reason,
                    reply=kit.encode(found.reply) if options.reply and found.reply else None,
                    metrics=[(name, float(value)) for name, value in found.metrics.items()],
                )
            except Exception as error:
                raise Err(kit.explain(error)) from None

    return PerfPlugin
