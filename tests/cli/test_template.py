"""`updater template`: a commit message's template with sample data."""

from pathlib import Path

from click.testing import CliRunner

from updater.cli.template import template


def test_built_in_message_is_shown() -> None:
    result = CliRunner().invoke(template, [])
    assert result.exit_code == 0
    assert result.output.startswith("build: automatic update of example\n\nupdates image team/app tag 'v1.0.0'")


def test_template_of_a_file_is_rendered_for_one_and_for_many(tmp_path: Path) -> None:
    file = tmp_path / "commit.template"
    file.write_text("chore({{ .AppName }}): {{ len .AppChanges }}\n")
    one = CliRunner().invoke(template, [str(file)])
    many = CliRunner().invoke(template, [str(file), "--batch"])
    assert one.output.startswith("chore(example): 2\n")
    assert many.output.startswith("build: automatic update of 2 applications\n\nchore(example): 2\n\nchore(other): 1\n")


def test_broken_template_fails_with_its_place() -> None:
    result = CliRunner().invoke(template, ["-"], input="one\n{{ .Nope }}\n")
    assert result.exit_code == 1
    assert "line 2: there is no field .Nope here" in result.output
