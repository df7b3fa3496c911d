"""Reading a model's answer: thoughts, content and tool calls apart, as they stream."""
