package bench

// For the tests of pure functions.
var (
	ParseSources = parseSources
	Rates        = rates
)
