package mailbox

import (
	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
)

// blobState is a blob that the batch changes.
type blobState struct {
	row   rows.Blob
	had   bool // it has a row
	fresh bool // it came with the batch
}

// blob returns the state of a blob in the batch.
func (ap *applier) blob(id uint64) (*blobState, error) {
	if b := ap.blobs[id]; b != nil {
		return b, nil
	}
	b := &blobState{}
	var err error
	b.had, err = get(ap.s.db, rows.BlobKey(ap.keyBuf[:0], id), func(v []byte) error { return rows.ParseBlob(v, &b.row) })
	if err != nil {
		return nil, err
	}
	ap.blobs[id] = b
	return b, nil
}

// applyBlob takes in a text, or where a copied one is now.
func (ap *applier) applyBlob(p *record.Blob, at *place) error {
	row := rows.Blob{Large: p.Where == record.Large, Gen: at.gen, Off: at.body, Size: p.Size, CRC: p.CRC}
	if p.Where == record.Inline && p.Size != at.bodyLen {
		return record.ErrMalformed
	}
	if !ap.reader.Copied {
		ap.blobs[p.ID] = &blobState{row: row, fresh: true}
		return nil
	}
	b, err := ap.blob(p.ID)
	if err != nil {
		return err
	}
	if !b.had && !b.fresh && !ap.rebuilds {
		delete(ap.blobs, p.ID) // gone, and a copy does not bring it back
		return nil
	}
	if b.had {
		ap.count(&b.row, -1)
		ap.count(&row, 1)
	}
	row.Refs = b.row.Refs
	b.row = row
	b.fresh = b.fresh || ap.rebuilds
	return nil
}

// count adds the bytes of a blob to what lives in its generation.
func (ap *applier) count(b *rows.Blob, sign int64) {
	if !b.Large {
		ap.live[b.Gen] += sign * b.Size
	}
}
