"""What can go wrong, a class for each kind. Each is an `LmicError` and what Python itself would raise as well."""


class LmicError(Exception):
    """Anything that lmic reports."""


class CorruptError(LmicError, ValueError):
    """The bytes are not a valid archive, or were damaged. Get another copy."""


class TruncatedError(LmicError, EOFError):
    """The archive ends too early. Get the rest."""


class NeedsNewerError(LmicError, NotImplementedError):
    """A newer lmic wrote the archive. Update lmic."""


class WrongModelError(LmicError, LookupError):
    """The archive needs a model that is not at hand. Get that model."""


class WrongKeyError(LmicError, PermissionError):
    """The archive is encrypted, and no key or passphrase that was given opens it."""


class MemoryLimitError(LmicError, MemoryError):
    """The work needs more memory than the limit allows. Raise the limit."""


class OutOfMemoryError(LmicError, MemoryError):
    """The system does not give the memory that is needed. Use fewer threads, or free some."""


class InvalidArgumentError(LmicError, ValueError):
    """An argument is outside its documented range."""


class InputOutputError(LmicError, OSError):
    """Reading or writing failed."""


for _class in [LmicError, *LmicError.__subclasses__()]:
    _class.__module__ = "lmic"  # where they are found, and what a traceback shows
