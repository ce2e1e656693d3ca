"""The node agent: runs the containers of pods as local process groups."""
