SELECT archived_streams(%s)
