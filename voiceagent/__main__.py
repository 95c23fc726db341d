"""``python -m voiceagent``."""

from voiceagent.cli import main

if __name__ == "__main__":
    main()
