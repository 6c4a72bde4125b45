package wire

// Census counts open connections, in all and by client.
type Census struct{}
