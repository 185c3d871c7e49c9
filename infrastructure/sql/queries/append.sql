SELECT * FROM append(
    %b, %b, %b, %t::timestamptz[], %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b::uuid
)
