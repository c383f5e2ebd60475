"""An API that follows OpenAI's chat completions. For another one, make and read JSON of your own here."""

from llmuses_api import Api, chat_body, chat_response, merge


class MyParser(Api):
    description = "OpenAI chat completions"
    path = "/v1/chat/completions"

    def request(self, item, model, parameters):
        """The request of an item. What the user gives with `--parameters` goes over it."""
        return merge({**chat_body(item, model), "temperature": 0}, parameters)

    def response(self, responses, request):
        """What a response says about tokens, and which of its events carry output."""
        return chat_response(responses, request)
