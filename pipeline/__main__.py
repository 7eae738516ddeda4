"""``python -m pipeline`` is the command ``loyalty``."""

from pipeline.surroundings import settle


def main() -> None:
    """Run the command, once its surroundings are harmless: some libraries read the environment when they are loaded."""
    settle()
    from pipeline.cli import main as command  # noqa: PLC0415

    command()


if __name__ == "__main__":
    main()
