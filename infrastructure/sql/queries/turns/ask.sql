INSERT INTO asked (submission) SELECT unnest($1::bytea[])
