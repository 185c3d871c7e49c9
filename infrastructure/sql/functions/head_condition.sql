-- What must be true of head_items for a group to go on from there, as text: the tenant is live, its clock is right, and there is no
-- lock on any of the streams (that there is none at all is known at once). Nor has
-- another month been opened while we waited: that append was written anew is only heard of when a table is looked at.
-- Nor has this one been detached by hand.
CREATE OR REPLACE FUNCTION head_condition(p_partition text) RETURNS text LANGUAGE sql STABLE AS $function$
    SELECT format($condition$
        m.import_id IS NULL
        AND h.recorded_at <= t.clock + m.clock_bound
        AND NOT EXISTS (SELECT FROM months o WHERE o.first_position > h.position)
        AND pg_partition_root(%s) = %s
        AND p_tokens IS NULL
        AND (NOT EXISTS (SELECT FROM locks) OR NOT EXISTS (SELECT FROM locks l WHERE l.stream_id = ANY (p_stream_ids)))
    $condition$, p_partition::regclass::oid, 'events'::regclass::oid)
$function$;

REVOKE EXECUTE ON FUNCTION head_condition FROM PUBLIC;
