package load

func signature(o *Options) (string, error) { return "", nil }
