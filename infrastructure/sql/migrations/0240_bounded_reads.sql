-- Two functions have got more arguments: read_log a position up to which it reads, moved_between pages. What they were goes, as
-- functions of one name stand beside each other.

DROP FUNCTION IF EXISTS read_log(bigint, int, text[], text[], text);
DROP FUNCTION IF EXISTS moved_between(bigint, bigint);
