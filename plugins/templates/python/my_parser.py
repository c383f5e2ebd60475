"""A parser for OpenAI-compatible chat APIs. Its data set has JSON lines with the prompt in `question`."""

import json
import sys

from llmuses_plugin import BadEntry, BadResponse, PerfPluginBase, Summary, count_tokens, merge


class PerfPlugin(PerfPluginBase):
    description = "OpenAI chat completions, with `question` of JSON lines"

    def build_request(self, model, prompt=None, dataset=None, max_length=sys.maxsize, min_length=0, **kwargs):
        if prompt is not None:
            yield body(model, prompt, kwargs)
        elif dataset is not None:
            for line in self.dataset_line_by_line(dataset):
                try:
                    question = json.loads(line)["question"]
                except (ValueError, KeyError, TypeError) as error:
                    yield BadEntry(f"line {self.entry_number}: no question ({type(error).__name__}: {error})")
                    continue
                if len(question) <= min_length:
                    self.skip("too short")
                elif len(question) >= max_length:
                    self.skip("too long")
                else:
                    yield body(model, question, kwargs)
        else:
            raise BadEntry("--prompt or --dataset is needed")

    def parse_responses(self, responses, request, **kwargs):
        summary = Summary(outputs=[])
        text = []
        for index, response in enumerate(responses):
            chunk = json.loads(response)
            if chunk.get("error"):
                raise BadResponse(f"the server reported an error: {chunk['error']}")
            for choice in chunk.get("choices") or []:
                message = choice.get("delta") or choice.get("message") or {}
                said = (message.get("reasoning_content") or "") + (message.get("content") or "")
                if said or message.get("tool_calls"):
                    summary.outputs.append(index)
                    text.append(said)
            usage = chunk.get("usage")
            if usage:
                summary.prompt_tokens = usage.get("prompt_tokens")
                summary.completion_tokens = usage.get("completion_tokens")
        # Without a report of the server, the tokenizer counts, if there is one.
        if summary.completion_tokens is None:
            summary.completion_tokens = count_tokens("".join(text))
        if summary.prompt_tokens is None:
            prompt = "".join(message["content"] for message in json.loads(request)["messages"])
            summary.prompt_tokens = count_tokens(prompt)
        return summary


def body(model, prompt, parameters):
    """The body of a request. Parameters of the user go over what stands here."""
    messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    defaults = {
        "model": model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return merge(defaults, parameters)
