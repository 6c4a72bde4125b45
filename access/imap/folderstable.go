package imap

// lookupFolders has the commands about mailboxes, and those that add messages.
func lookupFolders(upper []byte) (entry, bool) {
	e := entry{in: loggedIn}
	switch string(upper) {
	case "LIST":
		e.do = (*session).list
	case "LSUB":
		e.do = (*session).lsub
	case "STATUS":
		e.do = (*session).status
	case "CREATE":
		e.do = (*session).create
	case "DELETE":
		e.do = (*session).delete
	case "RENAME":
		e.do = (*session).rename
	case "SUBSCRIBE":
		e.do = (*session).subscribe
	case "UNSUBSCRIBE":
		e.do = (*session).unsubscribe
	case "NAMESPACE":
		e.do = (*session).namespace
	case "GETQUOTA":
		e.do = (*session).getQuota
	case "GETQUOTAROOT":
		e.do = (*session).getQuotaRoot
	case "SETQUOTA":
		e.do = (*session).setQuota
	case "GETMETADATA":
		e.do = (*session).getMetadata
	case "SETMETADATA":
		e.do = (*session).setMetadata
	case "NOTIFY":
		e.do = (*session).notify
	case "APPEND":
		e.do = (*session).append
	case "REPLACE":
		e.do, e.in = (*session).replace, selected
	}
	return e, e.do != nil
}
