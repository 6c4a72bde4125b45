package smtp

import "strconv"

// Data appends DATA. The text must wait for the 354.
func (c *Client) Data() { c.out = append(c.out, "DATA\r\n"...) }

// Rset appends RSET.
func (c *Client) Rset() { c.out = append(c.out, "RSET\r\n"...) }

// Bdat appends a BDAT command (RFC 3030) whose n bytes must follow.
func (c *Client) Bdat(n int64, last bool) {
	c.out = strconv.AppendInt(append(c.out, "BDAT "...), n, 10)
	if last {
		c.out = append(c.out, " LAST"...)
	}
	c.out = append(c.out, '\r', '\n')
}

// Chunk sends a part of what a Bdat announced, as it is. p is not kept.
func (c *Client) Chunk(p []byte) error {
	if len(c.out)+len(p) <= clientBufferBytes {
		c.out = append(c.out, p...)
		return c.err
	}
	if err := c.Flush(); err != nil {
		return err
	}
	for len(p) > 0 && c.err == nil { // in blocks, so that each has its own deadline
		n := min(len(p), clientBufferBytes)
		c.err = c.write(p[:n])
		p = p[n:]
	}
	return c.err
}

// Text sends a part of a text within DATA. lineStart and the result are as in
// AppendDotted; the first part begins a line. p is not kept.
func (c *Client) Text(p []byte, lineStart bool) (bool, error) {
	for {
		n := min(len(p), clientPieceBytes)
		c.out, lineStart = AppendDotted(c.out, p[:n], lineStart)
		if p = p[n:]; len(p) == 0 {
			return lineStart, c.err
		}
		if len(c.out) >= clientBufferBytes {
			if err := c.Flush(); err != nil {
				return lineStart, err
			}
		}
	}
}

// Dot appends the end of a text within DATA, and the CRLF that its last line may
// lack.
func (c *Client) Dot(lineStart bool) {
	if !lineStart {
		c.out = append(c.out, '\r', '\n')
	}
	c.out = append(c.out, ".\r\n"...)
}
