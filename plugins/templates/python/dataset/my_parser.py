"""A format of data sets: JSON lines with the prompt in `question`."""

import json

from llmuses_dataset import BadEntry, Format


class MyParser(Format):
    description = "JSON lines with `question`"

    def entries(self, options):
        """The conversation in each line: here one turn, the prompt."""
        for line in self.dataset_line_by_line():
            try:
                question = json.loads(line)["question"]
            except (ValueError, KeyError, TypeError) as error:
                yield BadEntry(f"line {self.entry_number}: no question ({type(error).__name__}: {error})")
                continue
            yield {"turns": [{"prompt": question}]}
