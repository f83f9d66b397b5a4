"""ONNX artifacts: the model that the GGUF route reads, written as a graph for ONNX Runtime."""
