"""A parser for OpenAI-compatible chat APIs. Its data set has JSON lines with the prompt in `question`."""

import json
import sys

from llmuses_plugin import BadEntry, PerfPluginBase, merge, read_chat


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
        return read_chat(responses, request)


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
