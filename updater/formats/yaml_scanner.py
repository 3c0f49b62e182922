"""ruamel's scanner, read by regular expressions where it goes character by character, and as lenient with tabs as Go's.

Comments and plain values are nearly all of a values file; the tokens are the very same.
"""

import re

from ruamel.yaml.scanner import Scanner
from ruamel.yaml.tokens import ScalarToken

_BREAKS = "\0\r\n\x85\u2028\u2029"
_COMMENT = re.compile(f"#[^{_BREAKS}]*")
_SPACES = re.compile(" +")
_WORD = f"(?:[^ \t:{_BREAKS}]|:(?![ \t{_BREAKS}]))+"
_PLAIN = re.compile(f"{_WORD}(?: +(?!#){_WORD})*")
_MARK = "\ufeff"
"""Takes no column."""


class FastScanner(Scanner):
    """Skips tabs before comments and behind colons, as Go's parser does; tabs that indent stay an error."""

    def need_more_tokens(self) -> bool:
        if self.tokens and not self.possible_simple_keys:
            return False
        return bool(super().need_more_tokens())

    def scan_to_next_token(self) -> None:
        self._skip_comments()
        super().scan_to_next_token()
        while not self.allow_simple_key and self.reader.peek() == "\t":
            self.reader.forward()
            super().scan_to_next_token()

    def scan_plain(self) -> ScalarToken:
        """Read a plain value; of several lines, one after the other."""
        if self.flow_level:
            token: ScalarToken = super().scan_plain()
            return token
        reader, indent = self.reader, self.indent + 1
        start = end = reader.get_mark()
        parts: list[str] = []
        spaces: list[str] = []
        while reader.peek() != "#" and (found := _PLAIN.match(reader.buffer, reader.pointer)):
            self.allow_simple_key = False
            parts += [*spaces, found[0]]
            self._pass(found)
            end = reader.get_mark()
            spaces = self.scan_plain_spaces(indent, start)
            if not spaces or reader.peek() == "#" or reader.column < indent:
                break
        return ScalarToken("".join(parts), True, start, end)

    def _skip_comments(self) -> None:
        reader = self.reader
        while reader.index or reader.peek() != _MARK:  # super's business is the one that begins a text
            for pattern in (_SPACES, _COMMENT):
                if found := pattern.match(reader.buffer, reader.pointer):
                    self._pass(found)
            if not self.scan_line_break():
                return
            self.allow_simple_key = self.allow_simple_key or not self.flow_level

    def _pass(self, found: re.Match[str]) -> None:
        """Go behind what was found, in which no line ends."""
        length = found.end() - found.start()
        if _MARK in found[0]:
            self.reader.forward(length)
            return
        self.reader.pointer += length
        self.reader.index += length
        self.reader.column += length
