// A parser for OpenAI-compatible chat APIs. Its data set has JSON lines with the prompt in `question`.

import { BadEntry, PerfPlugin, characters, merge, readChat } from "./llmuses_plugin.js";

export class Parser extends PerfPlugin {
  static pluginName = "my_parser";
  static description = "OpenAI chat completions, with `question` of JSON lines";

  *buildRequest({ model, prompt, hasDataset, minLength, maxLength, parameters }) {
    if (prompt !== null) {
      yield body(model, prompt, parameters);
    } else if (hasDataset) {
      for (const line of this.lines()) {
        let question;
        try {
          question = JSON.parse(line).question;
        } catch (error) {
          yield new BadEntry(`line ${this.entryNumber}: not JSON (${error.message})`);
          continue;
        }
        if (typeof question !== "string") {
          yield new BadEntry(`line ${this.entryNumber}: no question`);
        } else if (characters(question) <= minLength) {
          this.skip("too short");
        } else if (characters(question) >= maxLength) {
          this.skip("too long");
        } else {
          yield body(model, question, parameters);
        }
      }
    } else {
      throw new BadEntry("--prompt or --dataset is needed");
    }
  }

  parseResponses(responses, { request }) {
    return readChat(responses, request);
  }
}

// The body of a request. Parameters of the user go over what stands here.
function body(model, prompt, parameters) {
  const defaults = {
    model,
    messages: Array.isArray(prompt) ? prompt : [{ role: "user", content: prompt }],
    stream: true,
    stream_options: { include_usage: true },
  };
  return merge(defaults, parameters);
}
