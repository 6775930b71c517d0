"""Results in a browser of this machine: a server that reads only, and the client that draws."""
