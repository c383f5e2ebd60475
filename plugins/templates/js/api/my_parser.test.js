// Tests of the API in Node, without WebAssembly: `npm test`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { requestOf, summaryOf } from "./llmuses_api.js";
import { BadEntry, BadResponse, decode } from "./llmuses_plugin.js";
import { MyParser } from "./my_parser.js";

const bodyOf = (item, parameters = {}) => JSON.parse(decode(requestOf(new MyParser(), item, "m", parameters).body));
const stream = (...chunks) => chunks.map((chunk) => JSON.stringify(chunk));

test("an item becomes a request", () => {
  const item = { prompt: "why ü 😀?", output: { max: 9, exact: true } };
  const body = bodyOf(item, { top_k: 1, stream_options: null });
  assert.deepEqual(body, {
    model: "m",
    messages: [{ role: "user", content: "why ü 😀?" }],
    stream: true,
    max_completion_tokens: 9,
    min_tokens: 9,
    ignore_eos: true,
    temperature: 0,
    top_k: 1,
  });
});

test("a whole body is sent as it is", () => {
  assert.deepEqual(bodyOf({ body: { model: "x", a: 1 } }, { b: 2 }), { model: "m", a: 1, b: 2 });
});

test("an item of another API is refused", () => {
  assert.throws(() => bodyOf({ texts: ["a"] }), BadEntry);
});

test("tokens are those that the server reports", () => {
  const chunks = stream(
    { choices: [{ delta: { role: "assistant", content: "" } }] },
    { choices: [{ delta: { content: "hi" } }] },
    { choices: [{ delta: {}, finish_reason: "stop" }] },
    { choices: [], usage: { prompt_tokens: 3, completion_tokens: 1 } },
  );
  const found = summaryOf(new MyParser(), chunks, "{}", true);
  assert.deepEqual(found.promptTokens, { tokens: 3, source: "server" });
  assert.deepEqual([found.completionTokens.tokens, found.outputs, found.finishReason], [1, [1], "stop"]);
  assert.equal(found.reply, '{"role":"assistant","content":"hi"}');
});

test("an error of the server fails the request", () => {
  assert.throws(() => summaryOf(new MyParser(), stream({ error: { message: "overloaded" } }), "{}", false), BadResponse);
});
