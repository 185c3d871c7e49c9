-- Views of others that read the tables of a projection.
SELECT DISTINCT v.relnamespace::regnamespace::text || '.' || quote_ident(v.relname)
FROM pg_depend AS d
INNER JOIN pg_rewrite AS r ON r.oid = d.objid
INNER JOIN pg_class AS v ON v.oid = r.ev_class
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjid = ANY (%(tables)s::regclass[]) AND v.oid <> d.refobjid
ORDER BY 1
