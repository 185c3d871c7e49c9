-- Nobody reads or writes them for the moment that the exchange takes.
LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE
