// Tests of the format in Node, without WebAssembly: `npm test`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { entriesFrom } from "./llmuses_dataset.js";
import { MyParser } from "./my_parser.js";

test("each question becomes a conversation", () => {
  const lines = ['{"question": "why?"}', '{"question": "how?"}'];
  const prompts = entriesFrom(MyParser, { lines }).map((entry) => entry.turns[0].prompt);
  assert.deepEqual(prompts, ["why?", "how?"]);
});

test("a bad line is named and the next one read", () => {
  const [bad, good] = entriesFrom(MyParser, { lines: ["{}", '{"question": "b"}'] });
  assert.equal(bad.message, "line 1: no question");
  assert.equal(good.turns[0].prompt, "b");
});
