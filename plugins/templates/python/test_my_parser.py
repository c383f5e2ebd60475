"""Tests of the parser in plain Python, without WebAssembly: `python3 -m unittest`."""

import json
import unittest

from llmuses_plugin import BadEntry, BadResponse, Err, Tokens, requests_from, summary_of
from my_parser import PerfPlugin


def stream(*chunks):
    return [json.dumps(chunk).encode() for chunk in chunks]


def deltas(*texts):
    return [{"choices": [{"delta": {"content": text}}]} for text in texts]


class Bodies(unittest.TestCase):
    def test_each_question_becomes_a_request(self):
        bodies = requests_from(PerfPlugin, lines=['{"question": "why?"}', '{"question": "how?"}'], top_k=1)
        self.assertEqual([body["messages"][0]["content"] for body in bodies], ["why?", "how?"])
        self.assertEqual(bodies[0]["top_k"], 1)

    def test_a_bad_line_is_reported_and_the_next_one_read(self):
        lines = ['{"question": "a"}', "{}", Err("line 3: not UTF-8"), '{"question": "b"}']
        first, bad, unreadable, last = requests_from(PerfPlugin, lines=lines)
        self.assertIn("line 2", str(bad))
        self.assertEqual(str(unreadable), "line 3: not UTF-8")
        self.assertEqual(last["messages"][0]["content"], "b")

    def test_limits_of_length_apply(self):
        lines = ['{"question": "a"}', '{"question": "abc"}', '{"question": "abcdef"}']
        (body,) = requests_from(PerfPlugin, lines=lines, min_length=1, max_length=6)
        self.assertEqual(body["messages"][0]["content"], "abc")

    def test_null_takes_a_default_away(self):
        (body,) = requests_from(PerfPlugin, prompt="hi", stream_options=None)
        self.assertNotIn("stream_options", body)

    def test_without_prompt_and_data_set_there_is_nothing_to_do(self):
        with self.assertRaises(BadEntry):
            requests_from(PerfPlugin)


class Responses(unittest.TestCase):
    def test_only_text_is_output(self):
        responses = stream(
            {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
            {"choices": [{"delta": {"content": "hi"}}]},
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
        )
        summary = summary_of(PerfPlugin, responses)
        self.assertEqual((summary.prompt_tokens, summary.completion_tokens), (Tokens(3), Tokens(1)))
        self.assertEqual(summary.outputs, [1])

    def test_without_usage_and_tokenizer_nothing_is_counted(self):
        request = json.dumps({"messages": [{"role": "user", "content": "why?"}]})
        summary = summary_of(PerfPlugin, stream({"choices": [{"message": {"content": "hi"}}]}), request)
        self.assertEqual((summary.prompt_tokens, summary.completion_tokens), (None, None))

    def test_an_error_of_the_server_fails_the_request(self):
        with self.assertRaises(BadResponse):
            summary_of(PerfPlugin, stream({"error": {"message": "overloaded"}}))

    def test_what_is_of_another_type_says_nothing(self):
        for nothing in (None, [], {}, "", 0, False):
            odd = {"choices": [{"delta": nothing, "message": nothing, "usage": nothing}, nothing], "error": nothing}
            calls = {"choices": [{"delta": {"content": nothing, "tool_calls": nothing, "function_call": nothing}}]}
            empty = {"choices": nothing, "usage": nothing, "x_groq": nothing}
            usage = {"x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 1}}}
            zero = {"usage": {"prompt_tokens": 0, "completion_tokens": 0}}
            summary = summary_of(PerfPlugin, stream(*deltas("hi"), odd, calls, nothing, empty, usage, zero))
            self.assertEqual((summary.outputs, summary.prompt_tokens), ([0], Tokens(3)), repr(nothing))

    def test_what_a_server_says_again_is_no_output(self):
        end = {"usage": {"prompt_tokens": 3, "completion_tokens": 3}}
        whole = {"choices": [{"message": {"content": "ab"}}]}
        for chunks, outputs in (
            (deltas("a", "b", "c", "abc"), [0, 1, 2]),
            (deltas("a", "b") + [whole], [0, 1]),
            (deltas("a", "ab", "ab", "abc"), [0, 1, 3]),
        ):
            self.assertEqual(summary_of(PerfPlugin, stream(*chunks, end)).outputs, outputs)

    def test_reasoning_that_is_counted_and_does_not_come_is_told(self):
        def metrics(*chunks, **more):
            details = {"reasoning_tokens": 100}
            usage = {"prompt_tokens": 1, "completion_tokens": 102, "completion_tokens_details": details, **more}
            return summary_of(PerfPlugin, stream(*chunks, {"usage": usage})).metrics

        self.assertEqual(metrics(*deltas("a", "b")), {"hidden_reasoning_tokens": 100})
        self.assertEqual(metrics(*deltas("a", "b"), total_tokens=203), {})
        self.assertEqual(metrics({"choices": [{"delta": {"thinking": "a"}}]}), {})


if __name__ == "__main__":
    unittest.main()
