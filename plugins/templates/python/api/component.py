"""What componentize-py makes a component of. To build another API, name its module in the first import."""

from my_parser import MyParser
from llmuses_api import component

PerfPlugin = component(MyParser)
