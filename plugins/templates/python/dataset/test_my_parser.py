"""Tests of the format in plain Python, without WebAssembly: `python3 -m unittest`."""

import unittest

from llmuses_dataset import entries_from
from my_parser import MyParser


class Entries(unittest.TestCase):
    def test_each_question_becomes_a_conversation(self):
        made = entries_from(MyParser, ['{"question": "why?"}', '{"question": "how?"}'])
        self.assertEqual(made, [{"turns": [{"prompt": "why?"}]}, {"turns": [{"prompt": "how?"}]}])

    def test_a_bad_line_is_named_and_the_next_one_read(self):
        bad, good = entries_from(MyParser, ["{}", '{"question": "b"}'])
        self.assertEqual(str(bad), "line 1: no question (KeyError: 'question')")
        self.assertEqual(good["turns"][0]["prompt"], "b")


if __name__ == "__main__":
    unittest.main()
