"""One file a plane; each figure is printed beside a limit or a peer that was measured in the same run."""
