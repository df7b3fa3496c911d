"""The HTTP side: speaks Ollama's REST API and turns each request into calls to the services."""
