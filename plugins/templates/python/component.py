"""What componentize-py makes a component of. To build another parser, name its module in the first import."""

from my_parser import PerfPlugin as Parser
from llmuses_plugin import component

PerfPlugin, RequestIterator = component(Parser)
