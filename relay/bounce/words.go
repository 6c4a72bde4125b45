package bounce

import (
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"postrider/internal/mail"
)

// Bounds of the words.
const (
	maxWords   = 24 << 10     // bytes, before they are encoded
	wordsRoom  = 4 * maxWords // more than they take encoded
	maxSubject = 200
	maxPersons = 30  // recipients that are written about one by one
	maxReply   = 500 // bytes of a reply that are shown
)

// Message is what a template gets. No text in it holds control characters.
type Message struct {
	Kind       string // "failure", "delay", "success", "relayed", "expanded"
	Host       string // our name
	Postmaster string // whom to ask: an address
	Sender     string // who is told: an address
	Subject    string // of the original, decoded; may be empty
	MessageID  string // of the original, with its angle brackets; may be empty
	QueueID    string // of the original, as the log has it
	Arrived    time.Time
	Now        time.Time
	Age        time.Duration // from Arrived to Now, in whole minutes
	Recipients []Person      // the first 30
	More       int           // how many others there are
	Count      int           // all of them
	Returned   string        // what is returned: "full", "header" or ""
}

// Person is one recipient of a Message.
type Person struct {
	Address     string
	Original    string // the address that the sender wrote to, where it is known and another one
	Class       string // the word of the event log: "no_user", "greylist" ...; "" for a success
	Own         bool   // the status is our own, not a server's
	Code        int    // basic code of the reply; 0: none
	Enhanced    string // its enhanced code; may be empty
	Reply       string // its text
	Remote      string // the server that gave it; "": it is our own
	Attempts    int
	LastAttempt time.Time // may be zero
	RetryUntil  time.Time // of a delay; may be zero
}

// words are the first part and what the header takes from it.
type words struct {
	part
	subject  string
	language string
}

// words writes the part for a person, about the first told recipients.
func (n *Notice) words(header []byte, told int, returned string) words {
	m := n.message(header, told)
	m.Returned = returned
	t := n.Templates
	if t == nil {
		t, _ = Builtin() // it is tested that they can be parsed
	}
	set, language := t.language(n.Language)
	text, err := execute(set, m.Kind, m, maxWords)
	subject, serr := execute(set, m.Kind+".subject", m, 4*maxSubject)
	if err != nil || serr != nil { // a template that fails on this message alone
		set, language = t.builtin, "en"
		text, _ = execute(set, m.Kind, m, maxWords)
		subject, _ = execute(set, m.Kind+".subject", m, 4*maxSubject)
	}
	w := words{language: language, subject: cleanText(strings.Join(strings.Fields(subject), " "), maxSubject)}
	w.text, w.encoding = lines(text), "7bit"
	w.kind, w.about = "text/plain; charset=us-ascii", "Notification"
	if s := measure(w.text); s.eightBit || !s.lines {
		w.kind, w.encoding = "text/plain; charset=utf-8", "quoted-printable"
		w.text = quote(w.text)
	}
	return w
}

// message gathers what templates get.
func (n *Notice) message(header []byte, told int) *Message {
	e := n.Envelope
	m := &Message{
		Kind: n.Kind.String(), Host: n.host(), Postmaster: "postmaster@" + n.host(),
		Sender: cleanText(string(e.Sender), mail.MaxAddressLen), MessageID: string(messageID(header)), QueueID: e.ID.String(),
		Subject: decodeSubject(field(header, "subject")), Arrived: n.arrived(), Now: n.Now, Count: told,
	}
	m.Age = max(0, n.Now.Sub(m.Arrived)).Truncate(time.Minute)
	for i := range n.Recipients[:min(told, maxPersons)] {
		m.Recipients = append(m.Recipients, n.person(&n.Recipients[i]))
	}
	m.More = told - len(m.Recipients)
	return m
}

func (n *Notice) person(r *Recipient) Person {
	to := &n.Envelope.Recipients[r.Index]
	p := Person{
		Address: cleanText(string(to.Address), mail.MaxAddressLen), Class: r.Class.String(), Own: r.Remote == "",
		Code: int(r.Status.Code), Reply: cleanText(string(r.Status.Text), maxReply), Remote: cleanText(r.Remote, 255),
		Attempts: r.Attempts, LastAttempt: r.LastAttempt, RetryUntil: r.RetryUntil,
	}
	if e := r.Status.Enhanced; e.Class != 0 {
		p.Enhanced = string(e.AppendText(nil))
	}
	if o, ok := appendOriginal(nil, to.Original, true); ok {
		_, address, _ := strings.Cut(string(o), "; ")
		if address = cleanText(address, mail.MaxAddressLen); !strings.EqualFold(address, p.Address) {
			p.Original = address
		}
	}
	return p
}

// decodeSubject reads a subject with the encoded words of RFC 2047; one that
// cannot be decoded stays as it is.
func decodeSubject(raw []byte) string {
	s := string(raw[:min(len(raw), 1000)])
	var d mime.WordDecoder
	if t, err := d.DecodeHeader(s); err == nil {
		s = t
	}
	return cleanText(strings.Join(strings.Fields(s), " "), maxSubject)
}

// cleanText is appendClean for a person's eyes, in whole runes.
func cleanText(s string, limit int) string {
	if len(s) > limit {
		cut := limit
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "..."
	}
	return string(appendClean(nil, []byte(s), true, len(s)))
}

// lines makes lines of a template's result: CRLF ends each, no control character
// is left, spaces at the end are dropped, and more than one empty line in a row
// becomes one.
func lines(text string) []byte {
	var b []byte
	empty := true // at the start
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(strings.ReplaceAll(line, "\t", "        "), " \r")
		if line == "" {
			if !empty {
				b = append(b, '\r', '\n')
			}
			empty = true
			continue
		}
		empty = false
		b = appendClean(b, []byte(line), true, len(line))
		b = append(b, '\r', '\n')
	}
	if empty && len(b) > 0 {
		b = b[:len(b)-2]
	}
	return b
}
