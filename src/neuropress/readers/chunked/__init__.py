"""What the readers of volumes share whose pixels lie in many files of one chunk or several. No format of its own."""
