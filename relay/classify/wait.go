package classify

import "time"

// maxWait bounds what a peer may ask for: a day.
const maxWait = 24 * time.Hour

// ParseWait returns how long a reply's text asks to wait: "try again in 5
// minutes", "retry after 300 seconds", "come back in 00:05:00", "in 10 Minuten
// erneut versuchen", "reessayez dans 2 heures". 0 when it asks for nothing, or
// for something that cannot be told from a limit ("100 messages per 60 seconds").
// The result is at most a day.
func ParseWait(text []byte) time.Duration {
	digit := false
	for _, c := range text {
		if c >= '0' && c <= '9' {
			digit = true
			break
		}
	}
	if !digit {
		return 0
	}
	p := waitParser{text: text}
	return min(p.parse(), maxWait)
}

// waitParser reads words. It looks for a number with a unit of time that stands
// right behind a word that asks for another attempt, or right before one.
type waitParser struct {
	text []byte
	at   int
	buf  [maxWord]byte
}

// maxWord is longer than every word that means something here.
const maxWord = 20

// token is a word in lower case, or a number; a sign of punctuation parts
// sentences when it is one that does.
type token struct {
	word   []byte // valid until the next token
	number int64  // -1: not a number
	clock  bool   // hh:mm:ss, as number of seconds
	stop   bool   // the end of a sentence
	end    bool
}

func (p *waitParser) parse() time.Duration {
	const (
		idle     = iota
		armed    // a word that asks for another attempt was seen, and nothing but fillers since
		inPhrase // "in", "after" without one: a number may come whose request stands behind it
	)
	state, seconds := idle, false
	for {
		t := p.token()
		switch {
		case t.end:
			return 0
		case t.stop:
			state = idle
		case t.clock && state == armed:
			return time.Duration(t.number) * time.Second
		case t.number >= 0 && !t.clock && state != idle:
			d := p.amount(t.number, seconds && state == armed)
			if d > 0 && (state == armed || p.asksSoon()) {
				return d
			}
			state = idle
		case asks(t.word):
			state, seconds = armed, false
		case filler(t.word):
			if state == idle && leads(t.word) {
				state = inPhrase
			}
			seconds = state == armed && (leads(t.word) || seconds)
		default:
			state = idle
		}
	}
}

// amount reads the unit behind a number. Without one it is seconds where the
// words before leave no doubt.
func (p *waitParser) amount(n int64, seconds bool) time.Duration {
	mark := p.at
	t := p.token()
	if u := unit(t.word); u > 0 {
		if n > int64(maxWait/u) {
			return maxWait
		}
		return time.Duration(n) * u
	}
	p.at = mark
	if seconds && (t.end || t.stop) && n >= 10 && n <= int64(maxWait/time.Second) {
		return time.Duration(n) * time.Second
	}
	return 0
}

// asksSoon reports whether one of the next three words asks for another attempt.
func (p *waitParser) asksSoon() bool {
	for range 3 {
		t := p.token()
		switch {
		case t.end, t.stop:
			return false
		case asks(t.word):
			return true
		}
	}
	return false
}

// token reads the next word, number or sentence's end.
func (p *waitParser) token() token {
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case c >= '0' && c <= '9':
			return p.readNumber()
		case letter(c):
			return p.readWord()
		case (c == '.' || c == ';' || c == '!' || c == '?') && (p.at+1 == len(p.text) || p.text[p.at+1] == ' '):
			p.at++
			return token{number: -1, stop: true}
		}
		p.at++
	}
	return token{number: -1, end: true}
}

func (p *waitParser) readWord() token {
	n := 0
	for p.at < len(p.text) && letter(p.text[p.at]) {
		if n < maxWord {
			p.buf[n] = lower(p.text[p.at])
			n++
		}
		p.at++
	}
	return token{word: p.buf[:n], number: -1}
}

// readNumber reads digits. Of a decimal, an address or a date it makes nothing.
func (p *waitParser) readNumber() token {
	v, parts, total := int64(0), 1, int64(0)
	for ; p.at < len(p.text); p.at++ {
		c := p.text[p.at]
		switch {
		case c >= '0' && c <= '9':
			v = min(v*10+int64(c-'0'), 1<<30)
			continue
		case c == ':' && p.digitAt(p.at+1) && parts < 3:
			total, v, parts = (total+v)*60, 0, parts+1
			continue
		case (c == '.' || c == '-' || c == '/') && p.digitAt(p.at+1):
			for p.at < len(p.text) && p.text[p.at] != ' ' {
				p.at++
			}
			return token{number: -1}
		}
		break
	}
	return token{number: total + v, clock: parts > 1}
}

func (p *waitParser) digitAt(i int) bool {
	return i < len(p.text) && p.text[i] >= '0' && p.text[i] <= '9'
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// asks reports a word that asks for another attempt.
func asks(w []byte) bool {
	switch string(w) {
	case "again", "retry", "retries", "retrying", "retried", "back", "wait", "reconnect", "resend", "resubmit", "delayed", "deferred",
		"greylisted", "graylisted", "greylisting", "graylisting", "greylist", "later",
		"erneut", "wieder", "nochmal", "nochmals", "warten", "versuchen", "später", "spaeter",
		"réessayer", "réessayez", "reessayer", "reessayez", "nouveau", "patienter", "patientez", "ressayer",
		"nuevo", "nuevamente", "reintente", "reintentar", "intente", "espere",
		"riprova", "riprovare", "riprovate", "nuovo", "ponownie", "opnieuw", "novamente", "позже", "попытку", "снова":
		return true
	}
	return false
}

// filler reports a word that may stand between a request and its number.
func filler(w []byte) bool {
	if leads(w) {
		return true
	}
	switch string(w) {
	case "at", "least", "for", "about", "approximately", "another", "please", "the", "next", "a", "you", "message", "delivery", "to", "sending",
		"es", "sie", "bitte", "einmal", "frühestens", "mindestens", "ca", "etwa", "noch",
		"s", "il", "vous", "plait", "plaît", "environ", "votre", "envoi", "por", "favor", "di", "la", "più", "tardi", "plus", "tard":
		return true
	}
	return false
}

// leads reports a word behind which a span of time stands.
func leads(w []byte) bool {
	switch string(w) {
	case "in", "after", "within", "nach", "dans", "après", "apres", "en", "dentro", "tra", "fra", "za", "over", "em", "через":
		return true
	}
	return false
}

// unit returns the length of a unit of time, or 0.
func unit(w []byte) time.Duration {
	switch string(w) {
	case "s", "sec", "secs", "second", "seconds", "sek", "sekunde", "sekunden", "seconde", "secondes", "segundos", "segundo",
		"secondi", "secondo", "sekund", "sekundy", "seconden", "секунд", "секунды", "сек":
		return time.Second
	case "m", "min", "mins", "minute", "minutes", "minuten", "minutos", "minuto", "minuti", "minut", "minuty", "minuut", "минут", "минуты", "мин":
		return time.Minute
	case "h", "hr", "hrs", "hour", "hours", "std", "stunde", "stunden", "heure", "heures", "hora", "horas", "ora", "ore", "godzin", "godziny", "uur", "час", "часа", "часов":
		return time.Hour
	case "d", "day", "days", "tag", "tage", "tagen", "jour", "jours":
		return 24 * time.Hour
	}
	return 0
}
