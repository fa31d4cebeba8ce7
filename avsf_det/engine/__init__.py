"""What one does with the network: train it, evaluate it, detect with it. Here the configuration is read."""
