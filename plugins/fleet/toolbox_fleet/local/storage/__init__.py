"""Resources that outlive sandboxes or are made of them: volumes, secrets, snapshots, archives."""
