// An API that follows OpenAI's chat completions. For another one, make and read JSON of your own here.

import { Api, chatBody, chatResponse } from "./llmuses_api.js";
import { merge } from "./llmuses_plugin.js";

export class MyParser extends Api {
  static pluginName = "my_parser";
  static description = "OpenAI chat completions";
  static path = "/v1/chat/completions";

  // The request of an item. What the user gives with `--parameters` goes over it.
  request(item, model, parameters) {
    return merge({ ...chatBody(item, model), temperature: 0 }, parameters);
  }

  // What a response says about tokens, and which of its events carry output.
  response(responses, request) {
    return chatResponse(responses, request);
  }
}
