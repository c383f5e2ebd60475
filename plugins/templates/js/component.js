// What the build makes a component of. To build another parser, name its file in the last import.

import datasets from "llmuses:perf/datasets@0.1.0";
import logging from "llmuses:perf/logging@0.1.0";
import tokenizer from "llmuses:perf/tokenizer@0.1.0";
import { component } from "./llmuses_plugin.js";
import { Parser } from "./my_parser.js";

export const perfPlugin = component(Parser, { datasets, tokenizer, logging });
