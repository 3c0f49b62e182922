"""The forges that pull requests are opened on: one thin module for each API, over one small HTTP client."""
