"""The stages of the pipeline: watcher -> poller -> decider -> writer, joined by queues."""
