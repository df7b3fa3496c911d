"""The Inference service: requests in flight, from admission to the last token."""
