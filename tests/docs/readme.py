"""Runs the code of README.md: compiles each ```cpp block (and runs it when it has a main) and runs all ```sh blocks in
one empty folder, in order, with the program's folder on the PATH. A block after <!-- not run --> is left alone.
usage: readme.py README.md COMPILE_COMMANDS LINK_FLAGS_FILE PROGRAM_FOLDER"""
