"""What the stages wish for. Adapters fulfil it; `app.py` hands them over, and mypy proves that they fit."""
