// What the build makes a component of. To build another API, name its file in the last import.

import logging from "llmuses:perf/logging@0.2.0";
import tokenizer from "llmuses:perf/tokenizer@0.2.0";
import { component } from "./llmuses_api.js";
import { MyParser } from "./my_parser.js";

export const perfPlugin = component(MyParser, { tokenizer, logging });
