package mail

// Command is what a server answered in a delivery.
type Command uint8

// The commands whose replies are outcomes.
const (
	CommandNone Command = iota
	CommandMail
	CommandRcpt
	CommandData // or BDAT, or the end of the text
)

// String returns the word for c in the event log; "" for CommandNone.
func (c Command) String() string {
	switch c {
	case CommandMail:
		return "mail"
	case CommandRcpt:
		return "rcpt"
	case CommandData:
		return "data"
	}
	return ""
}
