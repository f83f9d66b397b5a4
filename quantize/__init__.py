"""Checkpoint in, artifact out: a Hugging Face folder becomes a 4- or 8-bit GGUF or ONNX file."""
