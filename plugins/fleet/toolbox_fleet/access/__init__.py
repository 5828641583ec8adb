"""Ways into a sandbox: its toolbox URL, previews of its ports, signing keys, SSH."""
