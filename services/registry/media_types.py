"""Media types of manifests and layers.

Ollama's own, and for files that it has no type for, those of the CNCF's ModelPack
specification (github.com/modelpack/model-spec, specs-go/v1/mediatype.go).
"""

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"

_OLLAMA = "application/vnd.ollama.image."
GGUF = f"{_OLLAMA}model"
PROJECTOR = f"{_OLLAMA}projector"
ADAPTER = f"{_OLLAMA}adapter"
TENSOR = f"{_OLLAMA}tensor"
JSON_FILE = f"{_OLLAMA}json"
TEMPLATE = f"{_OLLAMA}template"
PROMPT = f"{_OLLAMA}prompt"  # what a template was called at first
SYSTEM = f"{_OLLAMA}system"
PARAMETERS = f"{_OLLAMA}params"
MESSAGES = f"{_OLLAMA}messages"
LICENSE = f"{_OLLAMA}license"

_MODELPACK = "application/vnd.cncf.model."
WEIGHT_FILE = f"{_MODELPACK}weight.v1.raw"
AUXILIARY_FILE = f"{_MODELPACK}weight.config.v1.raw"
DOCUMENT_FILE = f"{_MODELPACK}doc.v1.raw"
CODE_FILE = f"{_MODELPACK}code.v1.raw"

# Files that an engine reads. Documents and code travel with a model, and no
# worker ever gets them.
SERVED_FILES = frozenset({JSON_FILE, WEIGHT_FILE, AUXILIARY_FILE})

# A model has one of these at most.
TEMPLATES = (TEMPLATE, PROMPT)
