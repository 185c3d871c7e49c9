-- The condition under which a command that comes alone is worth trying in one statement: a few events, one in each of the streams
-- that it writes, and no stream that begins. As text, for make_append. All else is for the query of a group.
CREATE OR REPLACE FUNCTION lone_condition() RETURNS text LANGUAGE sql IMMUTABLE AS $function$
    SELECT $condition$
        cardinality(p_command_ids) = 1 AND cardinality(p_event_ids) BETWEEN 1 AND 16 AND p_import_id IS NULL
        AND NOT 0 >= ANY (p_claim_expected) AND NOT 2 <= ANY (p_claim_counts)
        AND cardinality(p_stream_ids) = cardinality(p_claim_streams)
        AND cardinality(array_positions(p_claim_counts, 1)) = cardinality(p_event_ids)
        AND p_event_claims <@ array_positions(p_claim_counts, 1)
    $condition$
$function$;

REVOKE EXECUTE ON FUNCTION lone_condition FROM PUBLIC;
