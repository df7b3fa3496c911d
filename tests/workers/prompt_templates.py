"""Prompt templates as models have them: the families' constructs, in words of our own."""

# Both forms in one: a turn at a time, and all messages.
CHATML = """
{{- if .Messages }}
{{- range .Messages }}<|start|>{{ .Role }}
{{ .Content }}<|end|>
{{ end }}<|start|>assistant
{{ else }}
{{- if .System }}<|start|>system
{{ .System }}<|end|>
{{ end }}<|start|>user
{{ .Prompt }}<|end|>
<|start|>assistant
{{ .Response }}<|end|>
{{ end }}"""

# A turn at a time: the form of the first years.
TURNS = """{{ if .System }}<<SYS>>{{ .System }}<</SYS>>

{{ end }}[USER] {{ .Prompt }} [/USER] {{ .Response }}</s>
"""

# Header tokens, and tools that are named before the last question.
HEADERS = """<|begin|>
{{- if or .System .Tools }}<|head|>system<|/head|>
{{ if .System }}
{{ .System }}{{ end }}
{{- if .Tools }}
You may call functions.
{{- end }}<|turn|>
{{- end }}
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 }}
{{- if eq .Role "user" }}<|head|>user<|/head|>
{{- if and $.Tools $last }}

Given these functions, answer with a call:
{{ range $.Tools }}
{{- . }}
{{ end }}
{{- end }}

{{ .Content }}<|turn|>
{{- if $last }}<|head|>assistant<|/head|>

{{ end }}
{{- else if eq .Role "assistant" }}<|head|>assistant<|/head|>
{{- if .ToolCalls }}
{{ range .ToolCalls }}
{"name": "{{ .Function.Name }}", "parameters": {{ .Function.Arguments }}}
{{- end }}
{{- else }}

{{ .Content }}
{{- end }}{{ if not $last }}<|turn|>{{ end }}
{{- else if eq .Role "tool" }}<|head|>tool<|/head|>

{{ .Content }}<|turn|>
{{- if $last }}<|head|>assistant<|/head|>

{{ end }}
{{- end }}
{{- end }}"""

# Square brackets, a list of calls, and a hole to fill.
BRACKETS = """
{{- if .Suffix }}[SUFFIX]{{ .Suffix }}[PREFIX] {{ .Prompt }}
{{- else }}
{{- range $index, $message := .Messages }}
{{- if eq .Role "user" }}
{{- if and (le (len (slice $.Messages $index)) 2) $.Tools }}[TOOLS] {{ $.Tools }}[/TOOLS]
{{- end }}[INST] {{ if and (eq $index 0) $.System }}{{ $.System }}

{{ end }}{{ $message.Content }}[/INST]
{{- else if eq .Role "assistant" }}
{{- if .Content }} {{ .Content }}</s>
{{- else if .ToolCalls }}[CALLS] [
{{- range $i, $call := .ToolCalls }}{{ if $i }}, {{ end -}}
{"name": "{{ $call.Function.Name }}", "arguments": {{ json $call.Function.Arguments }}}
{{- end }}]</s>
{{- end }}
{{- else if eq .Role "tool" }}[RESULTS] {"name": "{{ .ToolName }}", {{ "" -}}
"content": {{ .Content }}}[/RESULTS]
{{- end }}
{{- end }}
{{- end }}"""

# Thoughts, kept where they follow the last question, and a switch for them.
THINKING = """
{{- $last_user := -1 -}}
{{- range $i, $m := .Messages -}}
{{- if eq $m.Role "user" }}{{ $last_user = $i }}{{ end -}}
{{- end }}
{{- if or .System .Tools }}<|start|>system
{{ .System }}
{{- if .Tools }}
# Tools
{{- range .Tools }}
{"type": "function", "function": {{ .Function }}}
{{- end }}
{{- end }}<|end|>
{{ end }}
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 -}}
{{- if eq .Role "user" }}<|start|>user
{{ .Content }}
{{- if and $.IsThinkSet (eq $i $last_user) }}
{{- if $.Think }} /think{{ with $.ThinkLevel }} ({{ . }}){{ end }}{{ else }} /no_think{{ end }}
{{- end }}<|end|>
{{ else if eq .Role "assistant" }}<|start|>assistant
{{ if and .Thinking (or $last (gt $i $last_user)) -}}
<think>{{ .Thinking }}</think>
{{ end -}}
{{ if .Content }}{{ .Content }}
{{- else if .ToolCalls }}<call>
{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}
{{ end }}</call>
{{- end }}{{ if not $last }}<|end|>
{{ end }}
{{- else if eq .Role "tool" }}<|start|>user
<result>
{{ .Content }}
</result><|end|>
{{ end }}
{{- if and (ne .Role "assistant") $last }}<|start|>assistant
{{ end }}
{{- end }}"""
