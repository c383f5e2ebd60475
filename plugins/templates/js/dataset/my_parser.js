// A format of data sets: JSON lines with the prompt in `question`.

import { Format } from "./llmuses_dataset.js";
import { BadEntry } from "./llmuses_plugin.js";

export class MyParser extends Format {
  static pluginName = "my_parser";
  static description = "JSON lines with `question`";

  // The conversation in each line: here one turn, the prompt.
  *entries(options) {
    for (const line of this.lines()) {
      let question;
      try {
        question = JSON.parse(line).question;
      } catch (error) {
        yield new BadEntry(`line ${this.entryNumber}: not JSON (${error.message})`);
        continue;
      }
      if (typeof question === "string") yield { turns: [{ prompt: question }] };
      else yield new BadEntry(`line ${this.entryNumber}: no question`);
    }
  }
}
