"""Small programs to read with a pencil in hand: one page each. README.md in this folder lists them."""
