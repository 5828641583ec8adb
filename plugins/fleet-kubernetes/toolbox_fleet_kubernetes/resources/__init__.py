"""Resources beside sandboxes: snapshots, warm pools, volumes; and the network of sandboxes."""
