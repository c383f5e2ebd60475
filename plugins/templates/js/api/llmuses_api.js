// The bridge between an API in JavaScript and the load tester llmuses (contract 0.2).
//
// An API is a class that extends `Api`; `component.js` makes a WebAssembly component of it. `llmuses_plugin.js` has what
// it may call: `merge`, `readChat`, `countTokens`, `log`. Both run in Node too, for tests.

import { BadEntry, decode, explain, merge, readChat, settleIn, tokens } from "./llmuses_plugin.js";

/** What every API extends. */
export class Api {
  // How the API introduces itself, and the request headers that it needs. Those of the user take their place.
  static pluginName = "parser";
  static version = "0.1.0";
  static description = "";
  static headers = {};
  // The path of the API, for a URL without one.
  static path = null;
  // How responses are split into events: by-content-type, sse, ndjson, json-array or plain.
  static framing = "by-content-type";
  // What a model is asked for: generate, embed, rerank or other.
  static task = "generate";

  /**
   * The request of an item: an object that is sent as JSON, or `new Request(bytes, contentType, path)`. Throw a
   * `BadEntry` where there can be none.
   *
   * `item` is what is asked: wit/item.schema.json has its members. `parameters` are those of the item, over them those
   * of `--parameters`; see `merge` about null.
   */
  request(item, model, parameters) {
    throw new Error("request is missing");
  }

  /**
   * Reads one finished response.
   *
   * `responses` are texts: the data of every event of a stream, without `[DONE]`, or the one body of a plain response.
   * `request` is the body that was sent, as text. Throw a `BadResponse` to make the request a failed one.
   *
   * Returns what `readChat` returns, and any of: `answers`, the indices of the outputs that carry the answer;
   * `tokensSoFar`, the tokens by the end of each output; `finishReason`; `reply`, the message for the next turn.
   */
  response(responses, request) {
    throw new Error("response is missing");
  }
}

/** A request, where an object does not say it all. Without a path it goes to that of the API. */
export class Request {
  constructor(body, contentType = "application/json", path = null) {
    Object.assign(this, { body, contentType, path });
  }
}

/** The body of a request to OpenAI's chat completions. */
export function chatBody(item, model) {
  if (item.messages === undefined && item.prompt === undefined) {
    throw new BadEntry("this API takes messages or a prompt, and the item has neither");
  }
  const { max, min, exact } = item.output ?? {};
  return defined({
    model,
    messages: item.messages ?? [{ role: "user", content: item.prompt }],
    stream: true,
    stream_options: { include_usage: true },
    tools: item.tools,
    max_completion_tokens: max,
    min_tokens: exact ? max : min,
    ignore_eos: exact ? true : undefined,
  });
}

/** Reads a response of OpenAI's chat completions. */
export function chatResponse(responses, request) {
  const found = readChat(responses, request);
  let text = "";
  for (const response of responses) {
    const choice = response.trim() === "" ? undefined : JSON.parse(response)?.choices?.[0];
    const said = (choice?.delta ?? choice?.message)?.content;
    if (typeof said === "string") text += said;
    if (typeof choice?.finish_reason === "string") found.finishReason = choice.finish_reason;
  }
  return { ...found, reply: { role: "assistant", content: text } };
}

/** The request of an item. A whole body in it is sent as it is, with the model and the parameters of the user. */
export function requestOf(api, item, runModel, parameters) {
  const model = item.model ?? runModel;
  let made = item.body;
  if (made === undefined) {
    made = api.request(item, model, { ...item.parameters, ...parameters });
  } else if (typeof made === "object" && made !== null && !Array.isArray(made)) {
    made = merge("model" in made ? { ...made, model } : made, parameters);
  }
  return made instanceof Request ? made : new Request(encode(JSON.stringify(made)));
}

/** What an API reads in a response, in the form of the contract. */
export function summaryOf(api, responses, request, wantsReply) {
  const found = api.response(responses, request);
  return {
    promptTokens: tokens(found.promptTokens),
    completionTokens: tokens(found.completionTokens),
    outputs: found.outputs ?? null,
    answers: found.answers ?? null,
    tokensSoFar: found.tokensSoFar ?? null,
    finishReason: found.finishReason ?? null,
    reply: wantsReply && found.reply ? JSON.stringify(found.reply) : null,
    metrics: Object.entries(found.metrics ?? {}).map(([name, value]) => [name, Number(value)]),
  };
}

/** What `component.js` exports: the functions of the contract. Errors leave it as texts. */
export function component(Kind, host) {
  settleIn(host);
  const api = new Kind();
  return {
    describe() {
      const { pluginName: name, version, description, path, framing, task } = Kind;
      return { name, version, description, headers: Object.entries(Kind.headers), path, framing, task };
    },

    buildRequest(items, { model, parameters }) {
      const given = JSON.parse(parameters);
      return items.map((item) => {
        try {
          return { tag: "ok", val: requestOf(api, JSON.parse(item), model, given) };
        } catch (error) {
          return { tag: "err", val: explain(error) };
        }
      });
    },

    parseResponses(responses, request, { reply }) {
      try {
        return summaryOf(api, responses.map(decode), decode(request), reply);
      } catch (error) {
        throw explain(error);
      }
    },
  };
}

/** A text as bytes of UTF-8. QuickJS has no TextEncoder; what is here runs in the engine but for the last step. */
function encode(text) {
  const bytes = unescape(encodeURIComponent(text));
  return Uint8Array.from(bytes, (byte) => byte.charCodeAt(0));
}

function defined(members) {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}
