#!/usr/bin/env python3
"""Makes the links that give the source folders their weft/ prefix.

usage: link_includes.py <source root> <destination folder> <folder>...
"""

import os
import sys


def main():
    source_root, destination, *folders = sys.argv[1:]
    os.makedirs(destination, exist_ok=True)
    for folder in folders:
        target = os.path.join(source_root, folder)
        link = os.path.join(destination, folder)
        if os.path.islink(link):
            if os.readlink(link) == target:
                continue
            os.remove(link)
        os.symlink(target, link)


if __name__ == "__main__":
    main()
