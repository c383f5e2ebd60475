// The bridge between a parser in JavaScript and the load tester llmuses.
//
// A parser is a class that extends `PerfPlugin`; `component.js` makes a WebAssembly component of it. What the
// host offers (the data set, the tokenizer, the log) is handed in from there, so that a parser also runs in
// Node: in tests, `requestsFrom` stands in for the host.

// How many entries and request bodies cross the border in one call.
const BATCH = 64;

let host = { tokenizer: null, logging: null };

/**
 * An entry of the data set of which no request can be made.
 *
 * Yield one from `buildRequest` to report the entry and go on with the next. Throw it, or anything else, and
 * the entry is reported too, but a generator that has thrown is over: nothing behind it is read.
 */
export class BadEntry extends Error {}

/** A response that makes its request a failed one. To be thrown by `parseResponses`. */
export class BadResponse extends Error {}

/** What every parser extends. */
export class PerfPlugin {
  // How the parser introduces itself, and the request headers that the API needs. Those of the user take
  // their place.
  static pluginName = "parser";
  static version = "0.1.0";
  static description = "";
  static headers = {};

  // The number of the entry that was read last, from 1. One that could not be read counts too.
  entryNumber = 0;

  _bad = [];
  _skipped = new Map();
  _datasets = null;

  /**
   * Makes request bodies: a generator of objects.
   *
   * `prompt` is a text, an array of messages where it is a whole conversation, or null. `hasDataset` says
   * whether there is a data set to read. Prompts are wanted whose number of characters (see `characters`) is
   * over `minLength` and under `maxLength`. `parameters` is what the user gave with `--parameters`; see
   * `merge` about null.
   */
  *buildRequest({ model, prompt, hasDataset, minLength, maxLength, parameters }) {
    throw new Error("buildRequest is missing");
  }

  /**
   * Reads one finished response.
   *
   * `responses` are texts: the data of every event of a stream, without `[DONE]`, or the one body of a plain
   * response. `request` is the body that was sent, as text.
   *
   * Returns `{ promptTokens, completionTokens, outputs, metrics }`. A count is a number where the server told
   * it, the result of `countTokens`, or null. `outputs` has the indices of the responses with something that
   * the model produced; null says all of them. `metrics` is an object of further figures, or left out.
   */
  parseResponses(responses, { request, parameters }) {
    throw new Error("parseResponses is missing");
  }

  /** The lines of the data set. One that cannot be read is reported to the user, and the next one follows. */
  *lines() {
    const reader = ask(() => this._datasets.lineByLine());
    try {
      for (;;) {
        let lines;
        try {
          lines = ask(() => reader.next(BATCH));
        } catch (error) {
          this.entryNumber += 1;
          this._bad.push(error);
          continue;
        }
        if (lines.length === 0) return;
        for (const line of lines) {
          this.entryNumber += 1;
          yield line;
        }
      }
    } finally {
      dispose(reader);
    }
  }

  /** The items of a data set that is one JSON array. */
  *items() {
    const reader = ask(() => this._datasets.jsonList());
    try {
      for (;;) {
        const items = ask(() => reader.next(BATCH));
        if (items.length === 0) return;
        for (const item of items) {
          this.entryNumber += 1;
          yield JSON.parse(item);
        }
      }
    } finally {
      dispose(reader);
    }
  }

  /** Counts an entry that is passed over on purpose ("too short"), for the summary of the run. */
  skip(reason) {
    this._skipped.set(reason, (this._skipped.get(reason) ?? 0) + 1);
  }
}

/** `parameters` laid over `defaults`. A null takes a default away, as `--parameters stop=null` wants it. */
export function merge(defaults, parameters) {
  const merged = { ...defaults, ...parameters };
  for (const name of Object.keys(parameters)) {
    if (parameters[name] === null) delete merged[name];
  }
  return merged;
}

/** The number of characters of a text (Unicode scalar values), as the limits of length count them. */
export function characters(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** The tokens of a text by the tokenizer of `--tokenizer-path`, or null where there is none. */
export function countTokens(text) {
  if (!host.tokenizer?.available()) return null;
  try {
    return { tokens: host.tokenizer.count(text), source: "tokenizer" };
  } catch (error) {
    log(`the tokenizer failed: ${error?.payload ?? error?.message ?? error}`, "warn");
    return null;
  }
}

/**
 * Reads a response of OpenAI's chat completions, as the servers in use write them: the chunks of a stream or one
 * body. What is of another type than it should be says nothing. Counts are those of the server, or else of the
 * tokenizer. Throws a `BadResponse` for an error of the server.
 */
export function readChat(responses, request) {
  const counts = {};
  const outputs = [];
  const said = [];
  let hasParts = false;
  let hasReasoning = false;
  responses.forEach((response, index) => {
    const chunk = response.trim() === "" ? null : JSON.parse(response);
    if (!isObject(chunk)) {
      if (saysSomething(chunk)) throw new BadResponse(`chunk ${index + 1} is not a JSON object`);
      return;
    }
    if (saysSomething(chunk.error)) {
      throw new BadResponse(`the server reported an error: ${JSON.stringify(chunk.error)}`);
    }
    let text = "";
    let isPart = false;
    for (const choice of objects(chunk.choices)) {
      const [part, whole] = [saidBy(choice.delta), saidBy(choice.message)];
      const older = typeof choice.text === "string" ? choice.text : "";
      isPart ||= part.text !== "" || older !== "";
      const found = part.text !== "" ? part : whole;
      text += found.text + older;
      hasReasoning ||= found.reasons;
    }
    // The whole message once more, behind the parts of it, is no output.
    if (text !== "" && (isPart || !hasParts)) {
      hasParts ||= isPart;
      outputs.push(index);
      said.push(text);
    }
    for (const usage of usages(chunk)) {
      tell(counts, "prompt", usage.prompt_tokens);
      tell(counts, "completion", usage.completion_tokens);
      tell(counts, "total", usage.total_tokens);
      tell(counts, "reasoning", usage.completion_tokens_details?.reasoning_tokens);
    }
  });
  const texts = once(outputs, said);
  const { prompt, completion, total, reasoning = 0 } = counts;
  const visible = (completion ?? 0) - reasoning;
  const apart = total === (prompt ?? 0) + (completion ?? 0) + reasoning;
  const came = hasReasoning || texts.some((text) => text.includes("<think")) || texts.length > visible + 1;
  const metrics = {};
  // Under this name the host looks for tokens that no time between chunks holds.
  if (reasoning > 0 && texts.length > 0 && visible >= 0 && !apart && !came) {
    metrics.hidden_reasoning_tokens = reasoning;
  }
  const asked = () => objects(JSON.parse(request).messages).map((message) => textOf(message.content));
  return {
    promptTokens: prompt ?? countTokens(asked().join("")),
    completionTokens: completion ?? countTokens(texts.join("")),
    outputs,
    metrics,
  };
}

let saidThatItRepeats = false;

/** What was said, without what a server says again: in each chunk the text so far, or all of it at the end. */
function once(outputs, said) {
  const isNew = said.map((text, index) => index === 0 || text !== said[index - 1]);
  const grows = said.every((text, index) => index === 0 || text.startsWith(said[index - 1]));
  if (grows && isNew.filter(Boolean).length >= 3) {
    if (!saidThatItRepeats) {
      saidThatItRepeats = true;
      log("each chunk of the server repeats the text before it; that text is counted once", "warn");
    }
    outputs.splice(0, outputs.length, ...outputs.filter((_, index) => isNew[index]));
    return said.slice(-1);
  }
  if (said.length >= 3 && said.at(-1) === said.slice(0, -1).join("")) {
    outputs.pop();
    return said.slice(0, -1);
  }
  return said;
}

/** What a message or a part of one says, calls of functions included, and whether it reasons. */
function saidBy(message) {
  if (!isObject(message)) return { text: "", reasons: false };
  const spellings = ["reasoning_content", "reasoning", "reasoning_details", "thinking"];
  const reasoning = [...new Set(spellings.map((name) => textOf(message[name])))].join("");
  const calls = [...objects(message.tool_calls).map((call) => call.function), message.function_call];
  const called = calls
    .filter(isObject)
    .flatMap((call) => [call.name, call.arguments])
    .filter((text) => typeof text === "string");
  const text = reasoning + textOf(message.content) + textOf(message.refusal) + called.join("");
  return { text, reasons: reasoning !== "" };
}

/** A text, or the texts of the parts of a content. */
function textOf(value) {
  if (Array.isArray(value)) return value.map(textOf).join("");
  if (!isObject(value)) return typeof value === "string" ? value : "";
  return ["text", "thinking", "refusal", "summary", "content"].map((name) => textOf(value[name])).join("");
}

/** The reports of tokens, wherever a server puts them; the usual place last. */
function usages(chunk) {
  const inChoices = objects(chunk.choices).map((choice) => choice.usage);
  return [...inChoices, chunk.x_groq?.usage, chunk.usage]
    .filter(isObject)
    .flatMap((usage) => [...objects(usage.models).slice(0, 1), usage]);
}

/** A count replaces an earlier one, unless it is none, or has fallen to zero. */
function tell(counts, name, told) {
  if (Number.isSafeInteger(told) && told >= 0 && (told > 0 || counts[name] === undefined)) counts[name] = told;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function objects(value) {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function saysSomething(value) {
  if (typeof value !== "object" || value === null) return Boolean(value);
  return Object.values(value).some(saysSomething);
}

/** Says something to the person who runs the test; `level` is debug, info, warn or error. */
export function log(message, level = "info") {
  host.logging?.log(level, String(message));
}

/** The bodies of one pass, in batches as the host asks for them. */
export class Requests {
  constructor(parser, options) {
    this._parser = parser;
    this._waiting = [];
    this._bodies = parser.buildRequest(options)[Symbol.iterator]();
    // A generator runs when it is first asked. What it throws before it has read an entry is no fault of the
    // data set: no request can be made at all.
    const first = this._pull();
    if (first instanceof BadEntry && parser.entryNumber === 0) throw first;
    this._waiting.unshift(first);
  }

  /** At most `most` further bodies as JSON; none at the end. Throws a `BadEntry` for one bad entry. */
  next(most) {
    const bodies = [];
    while (bodies.length < Math.min(most, BATCH)) {
      const body = this._waiting.length > 0 ? this._waiting.shift() : this._pull();
      if (typeof body === "string") {
        bodies.push(body);
      } else if (bodies.length > 0 || body === null) {
        this._waiting.unshift(body);
        break;
      } else {
        throw body;
      }
    }
    return bodies;
  }

  skipped() {
    return [...this._parser._skipped];
  }

  /** One body, a bad entry, or null at the end. */
  _pull() {
    let found;
    try {
      const { done, value } = this._bodies.next();
      if (done) found = null;
      else if (value instanceof BadEntry) found = value;
      else found = JSON.stringify(value) ?? new BadEntry(`${value} is not a request body`);
    } catch (error) {
      found = new BadEntry(explain(error));
    }
    // Lines that could not be read came before what was made of the next one.
    this._waiting.push(...this._parser._bad.splice(0), found);
    return this._waiting.shift();
  }
}

/** Asks the host for entries. What it says instead of a result becomes a `BadEntry`. */
function ask(call) {
  try {
    return call();
  } catch (error) {
    throw new BadEntry(String(error?.payload ?? error?.message ?? error));
  }
}

/** What was thrown, in one line, with the place in the parser that it came from. */
export function explain(error) {
  if (error instanceof BadEntry || error instanceof BadResponse) return error.message;
  if (!(error instanceof Error)) return String(error);
  const frames = String(error.stack ?? "").split("\n");
  const own = frames.find((frame) => /\.js:\d/.test(frame) && !frame.includes("llmuses_plugin.js"));
  const place = own?.match(/([^/( ]+\.js:\d+)/);
  return `${error.name}: ${error.message}${place ? ` (${place[1]})` : ""}`;
}

/** Bytes of UTF-8 as text. QuickJS has no TextDecoder; what is here runs in the engine, not in a loop. */
export function decode(bytes) {
  let text = "";
  for (let start = 0; start < bytes.length; start += 8192) {
    text += String.fromCharCode.apply(null, bytes.subarray(start, start + 8192));
  }
  return /[\x80-\xff]/.test(text) ? decodeURIComponent(escape(text)) : text;
}

/** Has the parser read a response, and brings what it says into the form of the contract. */
function read(parser, responses, request, parameters) {
  const found = parser.parseResponses(responses, { request, parameters });
  return {
    promptTokens: tokens(found.promptTokens),
    completionTokens: tokens(found.completionTokens),
    outputs: found.outputs ? [...new Set(found.outputs)].sort((a, b) => a - b) : null,
    metrics: Object.entries(found.metrics ?? {}).map(([name, value]) => [name, Number(value)]),
  };
}

/** A count with its source, or null. Anything else is refused here, by name. */
export function tokens(count) {
  if (count === null || count === undefined) return null;
  const found = typeof count === "object" ? count : { tokens: count, source: "server" };
  if (!Number.isSafeInteger(found.tokens) || found.tokens < 0) {
    throw new BadResponse(`${found.tokens} is not a number of tokens`);
  }
  return found;
}

function dispose(reader) {
  reader[Symbol.dispose]?.();
}

/** `Date` without the present, which a parser is not told. Left alone, asking for it would end the parser. */
class NoClock extends Date {
  constructor(...when) {
    if (when.length === 0) NoClock.now();
    super(...when);
  }

  static now() {
    throw new Error("a parser has no clock");
  }
}

/** Takes in what the host offers, and puts something in place of what a component does not have. */
export function settleIn({ tokenizer, logging }) {
  host = { tokenizer, logging };
  globalThis.console ??= Object.fromEntries(
    ["debug", "info", "warn", "error", "log"].map((name) => [
      name,
      (...words) => log(words.join(" "), name === "log" ? "info" : name),
    ]),
  );
  globalThis.Date = NoClock;
}

/** What `component.js` exports: the functions of the contract. Errors leave it as texts. */
export function component(Parser, { datasets, tokenizer, logging }) {
  settleIn({ tokenizer, logging });
  const reader = new Parser();
  const guarded = (call) => {
    try {
      return call();
    } catch (error) {
      throw explain(error);
    }
  };

  class RequestIterator {
    constructor(requests) {
      this._requests = requests;
    }

    next(max) {
      return guarded(() => this._requests.next(max));
    }

    skipped() {
      return this._requests.skipped();
    }
  }

  return {
    RequestIterator,

    describe() {
      return {
        name: Parser.pluginName,
        version: Parser.version,
        description: Parser.description,
        headers: Object.entries(Parser.headers),
      };
    },

    buildRequest(options) {
      return guarded(() => {
        const parser = new Parser();
        parser._datasets = datasets;
        const { tag, val } = options.prompt ?? { tag: "text", val: null };
        return new RequestIterator(
          new Requests(parser, {
            ...options,
            // QuickJS gets whole numbers as signed ones; "no limit" is the largest unsigned one.
            maxLength: options.maxLength < 0 ? Number.MAX_SAFE_INTEGER : options.maxLength,
            prompt: tag === "messages" ? JSON.parse(val) : val,
            parameters: JSON.parse(options.parameters),
          }),
        );
      });
    },

    parseResponses(responses, request, parameters) {
      return guarded(() => read(reader, responses.map(decode), request, JSON.parse(parameters)));
    },
  };
}

// For tests in Node.

/**
 * All request bodies that a parser makes of a prompt, of `lines`, or of the `items` of a JSON array. A bad
 * entry is in the list as a `BadEntry`, and so is one among the lines. Throws where no request can be made.
 */
export function requestsFrom(Parser, { lines, items, ...options }) {
  const list = (entries) => {
    const left = [...entries];
    return {
      next() {
        if (left.length === 0) return [];
        const entry = left.shift();
        if (entry instanceof BadEntry) throw entry.message;
        return [entry];
      },
    };
  };
  const parser = new Parser();
  parser._datasets = {
    lineByLine: () => list(lines ?? []),
    jsonList: () => list((items ?? []).map((item) => JSON.stringify(item))),
  };
  const requests = new Requests(parser, {
    model: "m",
    prompt: null,
    hasDataset: Boolean(lines ?? items),
    minLength: 0,
    maxLength: Number.MAX_SAFE_INTEGER,
    parameters: {},
    ...options,
  });
  const made = [];
  for (;;) {
    try {
      const batch = requests.next(1);
      if (batch.length === 0) return made;
      made.push(JSON.parse(batch[0]));
    } catch (error) {
      made.push(error);
    }
  }
}

/** What a parser reads in a response, in the form of the contract. */
export function summaryOf(Parser, responses, request = "{}", parameters = {}) {
  return read(new Parser(), responses, request, parameters);
}
