SELECT name, checksum FROM migrations
