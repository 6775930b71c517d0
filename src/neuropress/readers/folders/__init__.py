"""What readers of folders share whose files are planes of one image: planes, their grid, files that nobody read."""
