"""The choice of the next token in Ollama's way, inside the engine's process.

vLLM has no mirostat, no `typical_p` and no window for penalties, truncates after the
temperature where llama.cpp does so before it, and on a CPU sorts the whole vocabulary for
every token. So the choice is made here: in llama.cpp's order, for all requests of a step
together, from a seed and the token's position alone. vLLM then takes what was chosen.
"""
