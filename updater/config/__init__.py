"""Where settings come from: files and the environment, read, checked and turned into `updater.settings`."""
