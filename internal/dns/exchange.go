package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	wire "github.com/miekg/dns"
)

// udpSize is the largest answer that is taken over UDP: it passes every path without
// fragments (RFC 9715 section 3).
const udpSize = 1232

// maxStrangers is how many messages that are no answer to the question are ignored
// at a socket. More are an attempt to guess the id, and the question goes over TCP.
const maxStrangers = 8

var errStrangers = errors.New("too many answers to other questions")

// question makes a query. AD asks a validating server to say that data is authentic,
// without sending the signatures (RFC 6840 section 5.7).
func question(name string, kind uint16, validated bool) *wire.Msg {
	q := new(wire.Msg)
	q.SetQuestion(wire.Fqdn(name), kind)
	q.AuthenticatedData = validated
	q.SetEdns0(udpSize, false)
	return q
}

// exchange asks over UDP, and over TCP when the answer does not fit or is disturbed.
func (r *Resolver) exchange(ctx context.Context, s *server, q *wire.Msg) (*wire.Msg, error) {
	m, err := r.over(ctx, "udp", s, q)
	if err == nil && !m.Truncated {
		return m, nil
	}
	if err != nil && !errors.Is(err, errStrangers) {
		return nil, err
	}
	if m, err = r.over(ctx, "tcp", s, q); err != nil {
		return nil, err
	}
	if m.Truncated {
		return nil, &refusal{errLarge.Error()}
	}
	return m, nil
}

// buffer is what messages over UDP are read into: some servers send more than what
// was asked for.
type buffer [4096]byte

func bufferPool() *sync.Pool { return &sync.Pool{New: func() any { return new(buffer) }} }

// over sends the question through a connection of its own, whose port the system
// chooses at random (RFC 5452 section 9.2), and waits for its answer.
func (r *Resolver) over(ctx context.Context, network string, s *server, q *wire.Msg) (*wire.Msg, error) {
	q.Id = uint16(rand.Uint32()) // a generator that can't be guessed from its numbers
	packed, err := q.Pack()
	if err != nil {
		return nil, &refusal{err.Error()}
	}
	nc, err := r.o.Dial(ctx, network, s.address)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	defer nc.Close() // nothing was left to be written
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "tcp" {
		return overTCP(nc, packed, q)
	}
	b := r.buffers.Get().(*buffer)
	defer r.buffers.Put(b)
	return overUDP(nc, packed, b[:], q)
}

func overUDP(nc net.Conn, packed, b []byte, q *wire.Msg) (*wire.Msg, error) {
	if _, err := nc.Write(packed); err != nil {
		return nil, err
	}
	for range maxStrangers {
		n, err := nc.Read(b)
		if err != nil {
			return nil, err
		}
		if m := accept(b[:n], q); m != nil {
			return m, nil
		}
	}
	return nil, errStrangers
}

func overTCP(nc net.Conn, packed []byte, q *wire.Msg) (*wire.Msg, error) {
	// RFC 7766 section 8: the length and the message in one write.
	if _, err := nc.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(nc, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(nc, b); err != nil {
		return nil, err
	}
	m := accept(b, q)
	if m == nil {
		return nil, errors.New("what came over TCP is no answer to the question")
	}
	return m, nil
}

// accept parses a message and returns it when it is an answer to q (RFC 5452 section
// 9.1), else nil. Of a message that is broken but begins like the answer and says
// that it is cut off, the beginning is returned.
func accept(b []byte, q *wire.Msg) *wire.Msg {
	m := new(wire.Msg)
	err := m.Unpack(b)
	if err != nil && !m.Truncated {
		return nil
	}
	if m.Id != q.Id || !m.Response || m.Opcode != wire.OpcodeQuery {
		return nil
	}
	if len(m.Question) != 1 {
		// A server that could not read the question need not repeat it.
		if len(m.Question) == 0 && m.Rcode == wire.RcodeFormatError {
			return m
		}
		return nil
	}
	got, asked := m.Question[0], q.Question[0]
	if got.Qtype != asked.Qtype || got.Qclass != asked.Qclass || !strings.EqualFold(got.Name, asked.Name) {
		return nil
	}
	return m
}
