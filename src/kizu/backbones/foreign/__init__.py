"""Networks kizu did not write: ONNX files and PyTorch modules cut at their layers and brought to one form."""
