"""Write docs/configuration.md: every setting, from the docstrings of `updater.settings.daemon`.

python scripts/configuration_reference.py > docs/configuration.md
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from updater.config.environment import INHERITED
from updater.config.options import OPTIONS, SECTIONS, Option
from updater.config.reload import LIVE
from updater.settings import daemon
from updater.settings.daemon import Settings

_SAMPLE = Path(__file__).parents[1] / "config" / "updater.yaml"
_HEAD = """\
# Configuration

This page is made by `make docs`, from what the code says of its settings.

Settings come from `updater.yaml` ([a copy with all of them](../config/updater.yaml)), which `--config` names; without
it, from `/app/config/updater.yaml` where there is one. Each can be given as a variable too, and a variable comes before
the file; variables of Argo CD Image Updater (AIU) are understood, after ours. Flags of AIU's `run` come before all.

```yaml
# updater.yaml
polling:
  interval: 5m
git:
  user: image-bot
  email: image-bot@example.com
```

Durations are written as `500ms`, `2m` or `1h30m`, sizes as `500k` or `64Mi`; in variables the items of a list are
separated by commas. An unknown key, or a value that cannot be read, is refused with its line and a remedy;
`updater lint updater.yaml` finds it beforehand.

## While it runs

`updater.yaml`, `registries.conf`, the commit template and certificates are read again every ten seconds. Settings with
a **●** are followed at once (`configuration.reloaded`). Others say once that they need a restart, and stay as they were
(`configuration.needs_restart`). When anything is wrong, nothing of it is followed, and the reason is said once
(`configuration.refused`). Secrets are read when they are needed. Variables do not change while a process runs: what
they set stays.
"""


def main() -> None:
    sys.stdout.write("".join(f"{line}\n" for line in _page()))


def _page() -> Iterator[str]:
    sample = _SAMPLE.read_text("utf-8")
    inherited = {path: name for name, path in INHERITED.items()}
    yield _HEAD
    for name, section in SECTIONS.items():
        said = _docstrings(section.__name__)
        yield f"## {name}\n\n{inspect.cleandoc(section.__doc__ or '')}\n"
        yield "| setting | default | | variables | |\n|---|---|---|---|---|"
        for option in (each for each in OPTIONS.values() if each.section == name):
            about = _of_the_page(said.get(option.key) or _comment(sample, option))
            live = "●" if option.path in LIVE else ""
            variables = [option.variable, *([inherited[option.path]] if option.path in inherited else [])]
            names = "<br>".join(f"`{variable}`" for variable in variables)
            yield f"| `{option.key}` | {_default(sample, option)} | {live} | {names} | {about} |"
        yield ""


def _docstrings(section: str) -> Mapping[str, str]:
    """Return what stands below each field of a section."""
    tree = ast.parse(inspect.getsource(daemon))
    body = next(each.body for each in tree.body if isinstance(each, ast.ClassDef) and each.name == section)
    found = {}
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            found[field.target.id] = " ".join(ast.literal_eval(below.value).split()).replace("|", "\\|")
    return found


def _comment(sample: str, option: Option) -> str:
    """Return what the sample says above a field that speaks for itself in the code."""
    matched = re.search(rf"^{option.section}:$.*?((?:^  #[^\n]*\n)*)^  {option.key}:", sample, re.MULTILINE | re.DOTALL)
    lines = matched[1].splitlines() if matched else []
    return " ".join(line.removeprefix("  # ") for line in lines)


def _of_the_page(text: str) -> str:
    """Word what the code says for those who write settings: times have a unit there, and None is left out."""
    text = re.sub(r"^Seconds\b", "Time", text.replace("None:", "none:"))
    return re.sub(r"\bNone\b", "none", text)


def _default(sample: str, option: Option) -> str:
    """Return the default as the sample spells it, which a test holds to the code."""
    default = option.of(Settings())
    if default in ("", (), None):
        return {"": "empty", (): "empty", None: "none"}[default]
    matched = re.search(rf"^{option.section}:$.*?^  {option.key}: ([^\n]*)$", sample, re.MULTILINE | re.DOTALL)
    return f"`{matched[1]}`" if matched else ""


if __name__ == "__main__":
    main()
