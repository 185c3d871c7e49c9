"""Which names of hosts a resolver can be asked for at all."""


def can_be_host(text: str) -> bool:
    """Whether it can be encoded as a name or an address; whether there is such a host, only the network knows."""
    if not text or not text.isprintable() or " " in text:
        return False
    try:
        return bool(text.encode("idna"))
    except UnicodeError:
        return False
