"""What an operator can set, as frozen values; where it comes from is `updater.config`'s business."""
