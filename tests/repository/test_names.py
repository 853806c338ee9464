"""The public names are a promise: a program that imports them today imports them after every change."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

# module -> names it promises
PUBLIC = {
    "object_database": [
        "__version__",
        "connect",
        "Schema",
        "Indexed",
        "Index",
        "Unique",
        "UniqueViolationError",
        "Object",
        "OneOf",
        "SubscribeLazilyByDefault",
        "TcpServer",
        "InMemServer",
        "InMemoryPersistence",
        "core_schema",
        "RevisionConflictException",
        "DisconnectedException",
        "current_transaction",
        "revisionConflictRetry",
        "MaskView",
    ],
    "object_database.schema": [
        "Schema",
        "Indexed",
        "Index",
        "SubscribeLazilyByDefault",
        "ObjectId",
        "FieldId",
        "IndexValue",
        "ObjectFieldId",
        "IndexId",
        "DatabaseObjectBase",
        "TypeDefinition",
        "SchemaDefinition",
        "FieldDefinition",
        "indexValueFor",
        "Unique",
    ],
    "object_database.identity": ["IDENTITY_BLOCK_SIZE", "IdentityProducer"],
    "object_database.types": [
        "Alternative",
        "ConstDict",
        "Dict",
        "Float32",
        "Forward",
        "FrozenDict",
        "Int8",
        "Int16",
        "Int32",
        "ListOf",
        "NamedTuple",
        "OneOf",
        "Set",
        "Tuple",
        "TupleOf",
        "UInt8",
        "UInt16",
        "UInt32",
        "UInt64",
        "register_codec",
        "register_record",
    ],
    "object_database.view": [
        "View",
        "Transaction",
        "ServerError",
        "ObjectDoesntExistException",
        "RevisionConflictException",
        "DisconnectedException",
        "current_transaction",
        "revisionConflictRetry",
        "FieldNotDefaultInitializable",
        "MaskView",
        "ViewWatcher",
    ],
    "object_database.database_connection": [
        "DatabaseConnection",
        "Everything",
        "TransactionHandler",
        "TransactionResult",
    ],
    "object_database.tcp_server": ["TcpServer", "connect"],
    "object_database.inmem_server": ["InMemServer"],
    "object_database.server": ["Server"],
    "object_database.errors": [
        "ObjectDatabaseError",
        "AuthenticationError",
        "SchemaMismatchError",
        "NotSubscribedError",
        "StoreError",
        "StoreInUseError",
        "FencedError",
        "StoreFullError",
        "StoreUnavailableError",
        "StoreBehindError",
        "StoreFormatError",
        "StoreMovedError",
        "StoreCorruptError",
    ],
    "object_database.persistence": [
        "Batch",
        "Group",
        "InMemoryPersistence",
        "Persistence",
        "RedisPersistence",
        "SqlitePersistence",
        "State",
    ],
    "object_database.messages": ["setHeartbeatInterval", "getHeartbeatInterval"],
    "object_database.core_schema": ["Connection", "core_schema"],
    "object_database.util": [
        "DEFAULT_LOGGING_CONFIG",
        "VALID_LOG_LEVELS",
        "Timer",
        "closest_N_in",
        "closest_in",
        "configureLogging",
        "distance",
        "formatTable",
        "genToken",
        "generateSslContext",
        "getDirectorySize",
        "getFormatter",
        "indent",
        "logFormat",
        "recursiveUpdate",
        "removeFileIfExists",
        "secondsToHumanReadable",
        "setupLogging",
        "sslContextFromCertPath",
        "sslContextFromCertPathOrNone",
        "tokenFromString",
        "validateLogLevel",
    ],
    "object_database.test_util": [
        "currentMemUsageMb",
        "diff_object_types_histograms",
        "gc_object_types_histogram",
        "sort_by_value",
    ],
    "object_database.frontends.database_server": ["main"],
    "object_database.cli": ["main"],
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in PUBLIC.items() for name in names])
def test_a_public_name_can_be_imported(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name), f"{module}.{name} is promised to users"


def test_all_lists_the_public_names_and_nothing_that_is_missing() -> None:
    package = importlib.import_module("object_database")
    listed = set(package.__all__)
    assert set(PUBLIC["object_database"]) <= listed
    assert [name for name in sorted(listed) if not hasattr(package, name)] == []


def test_the_version_is_the_one_that_is_installed() -> None:
    from importlib.metadata import version

    import object_database

    assert re.fullmatch(r"\d+\.\d+\.\d+", object_database.__version__)
    assert version("object_database") == object_database.__version__


def test_build_requirements_are_pinned_alike_for_users_and_developers(root: Path) -> None:
    pins = re.search(r"^requires = \[(.*?)\]", (root / "pyproject.toml").read_text(), re.MULTILINE)
    assert pins is not None
    developers = (root / "requirements-dev.txt").read_text().splitlines()
    for pin in re.findall(r'"([^"]+)"', pins[1]):
        assert pin in developers
    unpinned = [line for line in developers if line and not line.startswith("#") and "==" not in line]
    assert unpinned == []
