//go:build interop

package interop

import "strings"

// imapLetter is a message that is hard on those who take mail apart.
type imapLetter struct{ name, text string }

const imapHead = "From: Sender <sender@far.example>\r\nTo: user@isp.example\r\nSubject: %\r\n" +
	"Date: Sat, 28 Nov 2026 04:00:00 +0000\r\nMessage-ID: <%@far.example>\r\n"

func odd(name, rest string) imapLetter {
	return imapLetter{name, strings.ReplaceAll(imapHead, "%", name) + rest}
}

// imapCorpus are the messages that both servers are asked about.
func imapCorpus() []imapLetter {
	mime := "MIME-Version: 1.0\r\n"
	return []imapLetter{
		odd("plain", "\r\nplain text\r\n"),
		odd("utf8", mime+"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u00fc\u00dfe \u2713\r\n"),
		odd("quoted", mime+"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe und sch=\r\n=F6ne Dinge\r\n"),
		odd("base64", mime+"Content-Type: TEXT/HTML; charset=\"utf-8\"\r\nContent-Transfer-Encoding: BASE64\r\n\r\nPGh0bWw+PGJvZHk+SGVsbG8gd29ybGQ8L2JvZHk+PC9odG1sPg==\r\n"),
		odd("alternative", mime+"Content-Type: multipart/alternative; boundary=\"b1\"\r\n\r\npreamble\r\n--b1\r\nContent-Type: text/plain\r\n\r\none\r\n--b1\r\nContent-Type: text/html\r\n\r\n<p>one</p>\r\n--b1--\r\nepilogue\r\n"),
		odd("nested", mime+"Content-Type: multipart/mixed; boundary=outer; x=\"a \\\"b\\\"\"\r\n\r\n--outer\r\nContent-Type: multipart/alternative; boundary=inner\r\n\r\n--inner\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-ID: <part1@x>\r\nContent-Description: first part\r\nContent-Language: en, de\r\nContent-Location: http://x.example/\r\n\r\nalpha\r\n--inner\r\n\r\nno header\r\n--inner--\r\n--outer\r\nContent-Type: image/png; name=\"a.png\"\r\nContent-Disposition: attachment; filename=\"a b.png\"; size=5\r\nContent-Transfer-Encoding: base64\r\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n\r\naGVsbG8=\r\n--outer\r\nContent-Type: message/rfc822\r\n\r\nFrom: inner@x.example\r\nTo: \"Q, U\" <q@x.example>, group: a@x.example, b@x.example;\r\nSubject: inside\r\nDate: Fri, 27 Nov 2026 01:02:03 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=deep\r\n\r\n--deep\r\n\r\ndeep one\r\n--deep\r\nContent-Type: text/html\r\n\r\n<b>deep two</b>\r\n--deep--\r\n--outer--\r\n"),
		odd("digest", mime+"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nFrom: one@x.example\r\nSubject: in a digest\r\n\r\none\r\n--d\r\nContent-Type: text/plain\r\n\r\ntwo\r\n--d--\r\n"),
		odd("unterminated", mime+"Content-Type: multipart/mixed; boundary=never\r\n\r\n--never\r\nContent-Type: text/plain\r\n\r\nit goes on\r\n"),
		odd("noparts", mime+"Content-Type: multipart/mixed; boundary=nothere\r\n\r\nno part at all\r\n"),
		odd("noboundary", mime+"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\ntext\r\n--x--\r\n"),
		odd("badtype", mime+"Content-Type: this is nothing\r\nContent-Transfer-Encoding: strange\r\n\r\ntext\r\n"),
		odd("badbase64", mime+"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!! not base64 !!!\r\n"),
		odd("longparam", mime+"Content-Type: application/octet-stream; name*0=\"long \"; name*1=\"name\"\r\nContent-Disposition: attachment; filename*=utf-8''gr%C3%BCn.txt\r\n\r\ndata\r\n"),
		{"encoded", "From: =?utf-8?Q?J=C3=BCrgen?= <j@far.example>\r\nTo: =?iso-8859-1?B?R3L832U=?= <g@isp.example>, (comment) plain@isp.example (Name)\r\nCc: undisclosed-recipients:;\r\nSubject: =?utf-8?B?R3LDvMOfZQ==?= =?utf-8?Q?_und_mehr?=\r\nDate: Sat, 28 Nov 2026 04:01:00 +0000\r\nMessage-ID: <encoded@far.example>\r\nIn-Reply-To: <plain@far.example>\r\nReferences: <plain@far.example>\r\n\r\ntext\r\n"},
		{"addresses", "From: \"Q. \\\"R\\\" S\" <q@far.example>\r\nSender: other@far.example\r\nReply-To: <@a.example,@b.example:route@far.example>\r\nTo: a@isp.example, Bare Name <b@isp.example>, broken@, <>, \"quoted local\"@isp.example\r\nCc: Team: one@isp.example, Two <two@isp.example>;, last@isp.example\r\nBcc: hidden@isp.example\r\nSubject: addresses\r\n folded\r\n\tagain\r\nDate: not a date\r\nMessage-ID: <addresses@far.example>\r\n\r\ntext\r\n"},
		{"eightbit", "From: J\xfcrgen <j@far.example>\r\nTo: user@isp.example\r\nSubject: Gr\xc3\xbc\xc3\x9fe roh\r\nDate: Sat, 28 Nov 2026 04:02:00 +0000\r\n\r\n\xff\xfe raw\r\n"},
		{"noheader", "\r\nonly a body\r\n"},
		{"nobody", "From: a@far.example\r\nSubject: no body\r\n"},
		{"headless", "this is no header line\r\nFrom: late@far.example\r\n\r\nbody\r\n"},
		{"twice", "From: one@far.example\r\nFrom: two@far.example\r\nSubject: first\r\nSubject: second\r\nTo: a@isp.example\r\nTo: b@isp.example\r\n\r\nbody\r\n"},
		odd("rfc822", mime+"Content-Type: message/rfc822\r\n\r\nSubject: within\r\n\r\nwithin\r\n"),
		odd("long", "\r\n"+strings.Repeat("a line that is repeated\r\n", 400)),
		{"reply", "From: x@far.example\r\nTo: user@isp.example\r\nSubject: Re: plain\r\nDate: Sat, 28 Nov 2026 05:00:00 +0000\r\nMessage-ID: <reply@far.example>\r\nIn-Reply-To: <plain@far.example>\r\nReferences: <plain@far.example>\r\n\r\nanswer\r\n"},
		{"again", "From: y@far.example\r\nTo: user@isp.example\r\nSubject: Re: RE: plain (fwd)\r\nDate: Sat, 28 Nov 2026 06:00:00 +0200\r\nMessage-ID: <again@far.example>\r\nReferences: <plain@far.example> <reply@far.example>\r\n\r\nanswer to the answer\r\n"},
	}
}
