"""``kizu`` with the command line given; what its process took at most, in bytes, is the last line of stdout."""

import atexit

from kizu.cli import main
from memory import peak

if __name__ == "__main__":
    atexit.register(lambda: print(peak()))
    main()
