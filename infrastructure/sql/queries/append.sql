SELECT * FROM append(%b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b::uuid, %b, %b)
