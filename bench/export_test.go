package bench

// For the tests of pure functions.
var Rates = rates
