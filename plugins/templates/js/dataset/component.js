// What the build makes a component of. To build another format, name its file in the last import.

import datasets from "llmuses:perf/datasets@0.2.0";
import logging from "llmuses:perf/logging@0.2.0";
import tokenizer from "llmuses:perf/tokenizer@0.2.0";
import { component } from "./llmuses_dataset.js";
import { MyParser } from "./my_parser.js";

export const datasetPlugin = component(MyParser, { datasets, tokenizer, logging });
