DELETE FROM asked WHERE place <= $1::bigint
