"""The notes service of the core's tests is the API that is declared here."""

from tests.core.conftest import _notes_process, box, session

__all__ = ["_notes_process", "box", "session"]
