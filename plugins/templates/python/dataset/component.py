"""What componentize-py makes a component of. To build another format, name its module in the first import."""

from my_parser import MyParser
from llmuses_dataset import component

DatasetPlugin, Entries = component(MyParser)
