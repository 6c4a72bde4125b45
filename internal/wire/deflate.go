package wire

import (
	"compress/flate"
	"io"
	"net"
	"sync"

	"postrider/internal/inflate"
)

// compressing is what the compressed connections of a server share: nothing of it
// belongs to one of them while it waits.
type compressing struct {
	tables  inflate.Pool
	writers sync.Pool // *packer
}

// packer compresses one write. What it writes stands alone: no match goes back before
// it, so that no connection has to keep a compressor of its own, with hundreds of
// kilobytes. A long answer loses next to nothing by that; a short one has no gain.
type packer struct {
	w   *flate.Writer
	out []byte
}

func (p *packer) Write(b []byte) (int, error) {
	p.out = append(p.out, b...)
	return len(b), nil
}

// deflated is a connection whose both directions are compressed (RFC 4978).
type deflated struct {
	net.Conn
	srv *Server
	d   *inflate.Decoder
	in  []byte // borrowed; compressed octets that were not decoded yet
	r   int    // in[r:] are those
	one [1]byte
}

// Compress turns both directions to DEFLATE. What is buffered, and was sent after the
// command that asked for it, is compressed.
func (c *Conn) Compress() error {
	if err := c.Flush(); err != nil {
		return err
	}
	z := &deflated{Conn: c.nc, srv: c.srv, d: inflate.NewDecoder(&c.srv.packed.tables)}
	if b := c.Buffered(); len(b) > 0 {
		z.in = append([]byte(nil), b...) // no buffer of the pool's, which put sees
	}
	c.release()
	c.raw, c.tried, c.nc, c.quiet = nil, nil, z, false
	return nil
}

// Compressed reports that Compress was called.
func (c *Conn) Compressed() bool {
	_, ok := c.nc.(*deflated)
	return ok
}

// Read decodes what there is, and waits for more only when nothing came of that. Asked
// for one octet, as between commands, it waits without a buffer.
func (z *deflated) Read(p []byte) (int, error) {
	for calm := len(p) == 1; ; calm = false {
		n, used, err := z.d.Decode(p, z.in[z.r:])
		if z.r += used; z.r == len(z.in) {
			z.release()
		}
		if n > 0 || err != nil {
			return n, err
		}
		if err := z.fill(calm); err != nil {
			return 0, err
		}
	}
}

// fill reads more; everything before was decoded.
func (z *deflated) fill(calm bool) error {
	room := z.one[:]
	if !calm {
		z.in, z.r = z.srv.pools.get(outputSize), 0
		room = z.in
	}
	n, err := z.Conn.Read(room)
	if n == 0 {
		z.release()
		if err == nil {
			err = io.ErrNoProgress
		}
		return err
	}
	if calm {
		z.in, z.r = z.srv.pools.get(outputSize), 0
		z.in[0] = room[0]
	}
	z.in = z.in[:n]
	return nil
}

// release gives back the buffer, of which nothing is left.
func (z *deflated) release() {
	if z.in != nil {
		z.srv.pools.put(z.in)
		z.in, z.r = nil, 0
	}
}

// Close closes the connection below.
func (z *deflated) Close() error {
	z.release()
	z.d.Close()
	return z.Conn.Close()
}

// CloseWrite ends the stream, and the output where the connection below can do that.
func (z *deflated) CloseWrite() error {
	lastBlock := [...]byte{0x03, 0x00} // an empty one with the fixed code
	if _, err := z.Conn.Write(lastBlock[:]); err != nil {
		return err
	}
	if w, ok := z.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return net.ErrClosed
}

// Write compresses b, and what it sends can be decoded to the end.
func (z *deflated) Write(b []byte) (int, error) {
	p, ok := z.srv.packed.writers.Get().(*packer)
	if !ok {
		p = new(packer)
		w, err := flate.NewWriter(p, flate.BestSpeed)
		if err != nil {
			return 0, err
		}
		p.w = w
	}
	p.out = z.srv.pools.get(bulkSize)[:0]
	p.w.Reset(p)
	_, err := p.w.Write(b)
	if err == nil {
		err = p.w.Flush()
	}
	// A slow client must not keep the compressor.
	out := p.out
	p.out = nil
	z.srv.packed.writers.Put(p)
	if err == nil {
		_, err = z.Conn.Write(out)
	}
	z.srv.pools.put(out)
	if err != nil {
		return 0, err
	}
	return len(b), nil
}
