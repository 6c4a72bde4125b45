package relay

import (
	"bytes"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"postrider/internal/mail"
	"postrider/queue"
	"postrider/relay/route"
	"postrider/relay/schedule"
)

// Recipients that wait are told apart by how they will leave. The queue keeps
// that as a short text, the via: the source that the message goes out from, the
// selector of the rules that depend on its sender, and marks. It survives
// restarts and reloads; what it means is looked up when mail is bound to a lane.
//
//	via = source "|" selector "|" marks
const viaSeparator = '|'

// marks of a via.
type marks uint8

const (
	markForwarded marks = 1 << iota // "f": sent on for a recipient here, so that the sender is rewritten
	markFallback                    // "b": it was tried often enough and takes the fallback
	markWaived                      // "w": its sender does without TLS rather than have it late (RFC 8689 section 5)
)

// via is a parsed via. Its slices alias the text.
type via struct {
	source, selector []byte
	marks            marks
}

func parseVia(text []byte) via {
	source, rest, _ := bytes.Cut(text, []byte{viaSeparator})
	selector, letters, _ := bytes.Cut(rest, []byte{viaSeparator})
	v := via{source: source, selector: selector}
	for _, c := range letters {
		switch c {
		case 'f':
			v.marks |= markForwarded
		case 'b':
			v.marks |= markFallback
		case 'w':
			v.marks |= markWaived
		}
	}
	return v
}

// isPlain reports a via without selector and marks, as nearly all are.
func isPlain(text string) bool { return strings.HasSuffix(text, "||") }

func (v via) append(dst []byte) []byte {
	dst = append(dst, v.source...)
	dst = append(dst, viaSeparator)
	dst = append(dst, v.selector...)
	dst = append(dst, viaSeparator)
	if v.marks&markForwarded != 0 {
		dst = append(dst, 'f')
	}
	if v.marks&markFallback != 0 {
		dst = append(dst, 'b')
	}
	if v.marks&markWaived != 0 {
		dst = append(dst, 'w')
	}
	return dst
}

// vias keeps the texts of the vias in use, of which there are few, so that a
// message makes none.
type vias struct {
	mu    sync.RWMutex // guards following
	texts map[string][]byte
}

// mostVias bounds the table; beyond it each message makes its own text.
const mostVias = 1 << 14

func (t *vias) text(v via) []byte {
	var scratch [256]byte
	b := v.append(scratch[:0])
	t.mu.RLock()
	text, ok := t.texts[string(b)]
	t.mu.RUnlock()
	if ok {
		return text
	}
	text = bytes.Clone(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.texts == nil {
		t.texts = make(map[string][]byte)
	}
	if len(t.texts) < mostVias {
		t.texts[string(text)] = text
	}
	return text
}

// interactiveRecipients is how many recipients a message has at most that a
// person has just written.
const interactiveRecipients = 5

// place says in which line a recipient of a message waits: whose mail it is, how
// it will leave, and how urgent it is.
func (e *Engine) place(env *mail.Envelope, rcpt int, dst *queue.Placement) {
	rules := e.rules.Load()
	r := &env.Recipients[rcpt]
	dst.Flow = flowOf(env)
	var scratch [route.MaxSelector]byte
	v := via{selector: rules.Routes.AppendSelector(scratch[:0], env)}
	if r.Forwarded {
		v.marks |= markForwarded
	}
	domain := mail.DomainOf(r.Address)
	plan := rules.Routes.Lookup(domain, v.selector)
	// RFC 8689 section 5 waives what receivers publish; the operator's policies stand.
	if tls := rules.Routes.TLS(domain, plan); env.TLSWaived && tls.Level.Enforced() && tls.Origin != operatorsPolicy {
		v.marks |= markWaived
	}
	pool := plan.Pool
	if isNotice(env) && rules.NoticePool != nil {
		pool = rules.NoticePool
	}
	if s := pool.Pick(env.ID, nil); s.Name != "" {
		v.source = append(scratch[len(v.selector):len(v.selector)], s.Name...)
	}
	dst.Via = e.vias.text(v)
	switch {
	case e.bulk.add(dst.Flow) > e.o.BulkRecipientsPerHour:
		dst.Band = schedule.BandBulk
	case len(env.Recipients) <= interactiveRecipients:
		dst.Band = schedule.BandInteractive
	default:
		dst.Band = schedule.BandNormal
	}
}

// operatorsPolicy is the origin of a TLS policy that the configuration states.
const operatorsPolicy = "policy"

// isNotice reports a message that this system has written itself.
func isNotice(env *mail.Envelope) bool { return len(env.Sender) == 0 && len(env.Protocol) == 0 }

// flowOf returns who pays for a message: its login, else the network of its
// client, else the domain of its sender. The text is the envelope's.
func flowOf(env *mail.Envelope) []byte {
	if len(env.User) > 0 {
		return env.User
	}
	if a := env.Client.Unmap(); a.IsValid() && !a.IsLoopback() {
		bits := 24
		if a.Is6() {
			bits = 64
		}
		if p, err := a.WithZone("").Prefix(bits); err == nil {
			var text [64]byte
			return env.Keep(p.AppendTo(text[:0]))
		}
	}
	return mail.DomainOf(env.Sender)
}

// meter counts recipients by flow, to tell who sends in bulk. A flow's counter is
// found by a hash of its name and may be shared by another; halving all of them in
// turn makes it a sliding count of about an hour.
type meter struct {
	seed  maphash.Seed
	cells [meterCells]atomic.Uint32
}

const (
	meterCells = 1 << 16
	// meterHalvings is how many times an hour the counters are halved. A steady
	// flow's counter swings between one and two halvings' worth.
	meterHalvings = 4
)

func newMeter() *meter { return &meter{seed: maphash.MakeSeed()} }

// add counts one more recipient of flow and returns how many there were in the
// last hour, about.
func (m *meter) add(flow []byte) int {
	n := m.cells[maphash.Bytes(m.seed, flow)%meterCells].Add(1)
	return int(n) * meterHalvings / 2
}

// halve is called meterHalvings times an hour.
func (m *meter) halve() {
	for i := range m.cells {
		if n := m.cells[i].Load(); n > 0 {
			m.cells[i].Store(n / 2) // what is added meanwhile may be lost: it is an estimate
		}
	}
}
