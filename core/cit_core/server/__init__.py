"""The HTTP gateway: OpenAI's and Anthropic's protocols in front of a router. Needs the extra `server`."""
