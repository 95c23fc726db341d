from tests.store.kit import database

__all__ = ["database"]
