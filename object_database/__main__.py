"""`python -m object_database`: the command odb."""

import sys

from object_database.cli import main

if __name__ == "__main__":
    sys.exit(main())
