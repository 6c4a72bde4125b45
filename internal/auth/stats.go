package auth

// Stats is how an Authenticator stands.
type Stats struct {
	Hashed     uint64 // slow hashes since the start
	Asked      uint64 // questions to databases that check passwords themselves
	Waiting    int    // attempts in line for either
	Delayed    int    // answers that are held back
	Remembered int    // good logins
	Watched    int    // addresses, networks, accounts, and accounts from known addresses that the limits know
}

// Stats returns how it stands now.
func (a *Authenticator) Stats() (s Stats) {
	var remote int
	s.Waiting, s.Hashed = a.hash.stats()
	remote, s.Asked = a.remote.stats()
	s.Waiting += remote
	s.Delayed, s.Watched = a.limits.stats()
	s.Remembered = a.good.entries()
	return s
}
