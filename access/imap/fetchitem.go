package imap

import (
	"strconv"
	"time"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// item appends an item of the message in hand, for which there is smallRoom. It
// reports false when the session cannot go on.
func (f *fetcher) item(item *fetchItem) bool {
	b := f.out.b
	switch item.kind {
	case fetchUID:
		b = strconv.AppendUint(append(b, "UID "...), uint64(f.entry.UID), 10)
	case fetchFlags:
		var more uint64
		if len(f.s.sel.words) > mailbox.WordKeywords {
			more = f.view.More(f.entry.UID)
		}
		b = f.s.appendFlags(append(b, "FLAGS "...), f.entry, more)
	case fetchModSeq:
		b = append(b, "MODSEQ ("...)
		b = append(strconv.AppendUint(b, f.entry.ModSeq, 10), ')')
	case fetchSize:
		b = strconv.AppendInt(append(b, "RFC822.SIZE "...), f.meta.SizeBytes, 10)
	case fetchDate:
		b = imapwire.AppendDateTime(append(b, "INTERNALDATE "...), f.meta.Received.UTC())
	case fetchSaved:
		b = appendSaved(append(b, "SAVEDATE "...), f.meta.Saved)
	case fetchEmailID:
		b = append(f.meta.EmailID.Append(append(b, "EMAILID ("...)), ')')
	case fetchThreadID:
		b = append(b, "THREADID NIL"...) // RFC 8474 section 5.2: a server that does not keep them
	case fetchEnvelope:
		f.out.text("ENVELOPE ")
		f.out.bytes(f.cursor.Items.Envelope)
		return true
	case fetchBody:
		f.out.text("BODY ")
		f.out.bytes(f.cursor.Items.Body)
		return true
	case fetchStructure:
		f.out.text("BODYSTRUCTURE ")
		f.out.bytes(f.cursor.Items.BodyStructure)
		return true
	case fetchPreview:
		f.preview()
		return true
	case fetchSection:
		return f.section(item)
	case fetchBinary:
		return f.binary(item)
	case fetchBinarySize:
		return f.binarySize(item)
	}
	f.out.b = b
	return true
}

// appendSaved appends a SAVEDATE: NIL when it is not known (RFC 8514 section 4.3).
func appendSaved(dst []byte, t time.Time) []byte {
	if t.Unix() <= 0 {
		return append(dst, "NIL"...)
	}
	return imapwire.AppendDateTime(dst, t.UTC())
}

// preview appends the PREVIEW (RFC 8970 section 4.2). A text without anything to show
// has an empty one.
func (f *fetcher) preview() {
	p := f.cursor.Items.Preview
	f.out.need(len("PREVIEW ") + 2*len(p) + 32)
	f.out.b = imapwire.AppendString(append(f.out.b, "PREVIEW "...), p, f.s.utf8())
}
