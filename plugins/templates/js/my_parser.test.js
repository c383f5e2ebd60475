// Tests of the parser in Node, without WebAssembly: `npm test`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BadEntry, BadResponse, decode, requestsFrom, summaryOf } from "./llmuses_plugin.js";
import { Parser } from "./my_parser.js";

const stream = (...chunks) => chunks.map((chunk) => JSON.stringify(chunk));

test("each question becomes a request", () => {
  const lines = ['{"question": "why?"}', '{"question": "how?"}'];
  const bodies = requestsFrom(Parser, { lines, parameters: { top_k: 1 } });
  assert.deepEqual(bodies.map((body) => body.messages[0].content), ["why?", "how?"]);
  assert.equal(bodies[0].top_k, 1);
});

test("a bad line is reported and the next one read", () => {
  const lines = ['{"question": "a"}', "{}", new BadEntry("line 3: not UTF-8"), '{"question": "b"}'];
  const [, bad, unreadable, last] = requestsFrom(Parser, { lines });
  assert.equal(bad.message, "line 2: no question");
  assert.equal(unreadable.message, "line 3: not UTF-8");
  assert.equal(last.messages[0].content, "b");
});

test("limits of length count characters", () => {
  const lines = ['{"question": "a"}', '{"question": "😀😀😀"}', '{"question": "abcdef"}'];
  const bodies = requestsFrom(Parser, { lines, minLength: 1, maxLength: 6 });
  assert.deepEqual(bodies.map((body) => body.messages[0].content), ["😀😀😀"]);
});

test("null takes a default away", () => {
  const [body] = requestsFrom(Parser, { prompt: "hi", parameters: { stream_options: null } });
  assert.equal("stream_options" in body, false);
});

test("without prompt and data set there is nothing to do", () => {
  assert.throws(() => requestsFrom(Parser, {}), BadEntry);
});

test("only text is output", () => {
  const summary = summaryOf(
    Parser,
    stream(
      { choices: [{ delta: { role: "assistant", content: "" } }] },
      { choices: [{ delta: { content: "hi" } }] },
      { choices: [], usage: { prompt_tokens: 3, completion_tokens: 1 } },
    ),
  );
  assert.deepEqual(summary, {
    promptTokens: { tokens: 3, source: "server" },
    completionTokens: { tokens: 1, source: "server" },
    outputs: [1],
    metrics: [],
  });
});

test("without usage and tokenizer nothing is counted", () => {
  const request = JSON.stringify({ messages: [{ role: "user", content: "why?" }] });
  const summary = summaryOf(Parser, stream({ choices: [{ message: { content: "hi" } }] }), request);
  assert.equal(summary.promptTokens, null);
  assert.equal(summary.completionTokens, null);
});

test("an error of the server fails the request", () => {
  assert.throws(() => summaryOf(Parser, stream({ error: { message: "overloaded" } })), BadResponse);
});

const deltas = (...texts) => texts.map((content) => ({ choices: [{ delta: { content } }] }));

test("what is of another type says nothing", () => {
  for (const nothing of [null, [], {}, "", 0, false]) {
    const odd = {
      choices: [{ delta: nothing, message: nothing, usage: nothing }, nothing],
      usage: nothing,
      error: nothing,
      x_groq: nothing,
    };
    const calls = { choices: [{ delta: { content: nothing, tool_calls: nothing, function_call: nothing } }] };
    const usage = { x_groq: { usage: { prompt_tokens: 3, completion_tokens: 1 } } };
    const zero = { usage: { prompt_tokens: 0, completion_tokens: 0 } };
    const chunks = stream(...deltas("hi"), odd, calls, nothing, { choices: nothing }, usage, zero);
    const { outputs, promptTokens } = summaryOf(Parser, chunks);
    assert.deepEqual([outputs, promptTokens.tokens], [[0], 3]);
  }
});

test("what a server says again is no output", () => {
  const end = { usage: { prompt_tokens: 3, completion_tokens: 3 } };
  const outputs = (...chunks) => summaryOf(Parser, stream(...chunks, end)).outputs;
  assert.deepEqual(outputs(...deltas("a", "b", "c", "abc")), [0, 1, 2]);
  assert.deepEqual(outputs(...deltas("a", "b"), { choices: [{ message: { content: "ab" } }] }), [0, 1]);
  assert.deepEqual(outputs(...deltas("a", "ab", "ab", "abc")), [0, 1, 3]);
});

test("reasoning that is counted and does not come is told", () => {
  const usage = (more) => ({
    usage: { prompt_tokens: 1, completion_tokens: 102, completion_tokens_details: { reasoning_tokens: 100 }, ...more },
  });
  const metrics = (...chunks) => summaryOf(Parser, stream(...chunks)).metrics;
  assert.deepEqual(metrics(...deltas("a", "b"), usage({})), [["hidden_reasoning_tokens", 100]]);
  assert.deepEqual(metrics(...deltas("a", "b"), usage({ total_tokens: 203 })), []);
  assert.deepEqual(metrics({ choices: [{ delta: { thinking: "a" } }] }, usage({})), []);
});

test("bytes are read as UTF-8", () => {
  assert.equal(decode(new TextEncoder().encode("问 😀 a")), "问 😀 a");
});
