"""Weight files: found, downloaded, checked and read, without PyTorch and without trusting them."""
