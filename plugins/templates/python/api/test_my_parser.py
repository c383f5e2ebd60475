"""Tests of the API in plain Python, without WebAssembly: `python3 -m unittest`."""

import json
import unittest

from llmuses_api import BadEntry, request_of, summary_of
from llmuses_plugin import BadResponse, Tokens
from my_parser import MyParser


def body_of(item, **parameters):
    return json.loads(request_of(MyParser(), item, "m", parameters).body)


def stream(*chunks):
    return [json.dumps(chunk).encode() for chunk in chunks]


class Requests(unittest.TestCase):
    def test_an_item_becomes_a_request(self):
        body = body_of({"prompt": "why?", "output": {"max": 9, "exact": True}}, top_k=1, stream_options=None)
        self.assertEqual(body["messages"], [{"role": "user", "content": "why?"}])
        self.assertEqual((body["max_completion_tokens"], body["min_tokens"], body["ignore_eos"]), (9, 9, True))
        self.assertEqual((body["model"], body["temperature"], body["top_k"]), ("m", 0, 1))
        self.assertNotIn("stream_options", body)

    def test_a_whole_body_is_sent_as_it_is(self):
        self.assertEqual(body_of({"body": {"model": "x", "a": 1}}, b=2), {"model": "m", "a": 1, "b": 2})

    def test_an_item_of_another_api_is_refused(self):
        with self.assertRaises(BadEntry):
            request_of(MyParser(), {"texts": ["a"]}, "m", {})


class Responses(unittest.TestCase):
    def test_tokens_are_those_that_the_server_reports(self):
        found = summary_of(
            MyParser(),
            stream(
                {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
                {"choices": [{"delta": {"content": "hi"}}]},
                {"choices": [{"delta": {}, "finish_reason": "stop"}]},
                {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
            ),
            b"{}",
        )
        self.assertEqual((found.prompt_tokens, found.completion_tokens), (Tokens(3), Tokens(1)))
        self.assertEqual((found.outputs, found.finish_reason), ([1], "stop"))
        self.assertEqual(found.reply, {"role": "assistant", "content": "hi"})

    def test_an_error_of_the_server_fails_the_request(self):
        with self.assertRaises(BadResponse):
            summary_of(MyParser(), stream({"error": {"message": "overloaded"}}), b"{}")


if __name__ == "__main__":
    unittest.main()
