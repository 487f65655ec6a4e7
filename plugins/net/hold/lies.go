//go:build linux

package hold

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/net/impair"
)

// Lie is a name server that answers wrongly.
type Lie struct {
	Names     []string         `json:"names"`  // patterns, in lower case, without a dot at the end
	Answer    string           `json:"answer"` // nxdomain, servfail, timeout, wrong
	Addresses []netip.Addr     `json:"addresses,omitempty"`
	Percent   float64          `json:"percent"`
	Truth     []netip.AddrPort `json:"truth"` // name servers for all other questions
}

// spare marks our own questions to the true name servers: they are not led back to us.
const spare = 0xfa17

// liar answers questions, over UDP and TCP.
type liar struct {
	Lie
	udp   []*net.UDPConn // of each version of IP: bound to one address, so that answers come from where the question went
	tcp   *net.TCPListener
	count atomic.Uint64
	all   sync.WaitGroup
	ctx   context.Context
	end   context.CancelFunc
}

// lying starts the name server, and has the spec lead the target's questions to it.
func lying(l Lie, s *impair.Spec) (program, error) {
	ctx, end := context.WithCancel(context.Background())
	d := &liar{Lie: l, ctx: ctx, end: end}
	if err := d.listen(); err != nil {
		end()
		return nil, fmt.Errorf("answer names: %w", err)
	}
	s.Action = impair.Action{Redirect: uint16(d.tcp.Addr().(*net.TCPAddr).Port)}
	s.Match.Spare = spare
	for _, c := range d.udp {
		d.all.Go(func() { d.serveUDP(c) })
	}
	d.all.Go(d.serveTCP)
	return d, nil
}

// listen takes one port of both protocols, on the loopback, where the kernel leads what is
// redirected.
func (d *liar) listen() (err error) {
	for range 20 {
		if d.tcp, err = net.ListenTCP("tcp", nil); err != nil {
			return err
		}
		port := d.tcp.Addr().(*net.TCPAddr).Port
		var four, six *net.UDPConn
		if four, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}); err != nil {
			d.tcp.Close()
			continue
		}
		d.udp = []*net.UDPConn{four}
		if six, err = net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback, Port: port}); err == nil {
			d.udp = append(d.udp, six) // a network may be without IPv6
		}
		return nil
	}
	return err
}

func (d *liar) met() uint64 { return d.count.Load() }

func (d *liar) stop() {
	d.end()
	for _, c := range d.udp {
		c.Close()
	}
	d.tcp.Close()
	d.all.Wait()
}

// longestQuestion is the longest message over UDP.
const longestQuestion = 64 << 10

// patience is how long a true name server may take.
const patience = 5 * time.Second

func (d *liar) serveUDP(c *net.UDPConn) {
	buffer := make([]byte, longestQuestion)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		question := append([]byte(nil), buffer[:n]...)
		d.all.Go(func() {
			if answer := d.answer(question, "udp"); answer != nil {
				_, _ = c.WriteToUDPAddrPort(answer, from)
			}
		})
	}
}

func (d *liar) serveTCP() {
	for {
		c, err := d.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		d.all.Go(func() {
			defer c.Close()
			stop := context.AfterFunc(d.ctx, func() { c.Close() })
			defer stop()
			for {
				_ = c.SetReadDeadline(time.Now().Add(patience))
				question, err := readFramed(c)
				if err != nil {
					return
				}
				answer := d.answer(question, "tcp")
				if answer == nil {
					<-d.ctx.Done() // nobody ever answers
					return
				}
				if _, err := c.Write(framed(answer)); err != nil {
					return
				}
			}
		})
	}
}

// Over TCP each message comes behind its length.
func framed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
}

func readFramed(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

// answer answers a question, by a lie or with the truth; nil is no answer.
func (d *liar) answer(question []byte, network string) []byte {
	if d.about(question) && (d.Percent >= 100 || rand.Float64()*100 < d.Percent) {
		d.count.Add(1)
		return d.lie(question)
	}
	for _, server := range d.Truth {
		if answer, err := d.ask(question, network, server); err == nil {
			return answer
		}
	}
	return nil
}

// about says whether a question is one to lie about.
func (d *liar) about(question []byte) bool {
	var p dnsmessage.Parser
	if _, err := p.Start(question); err != nil {
		return false
	}
	q, err := p.Question()
	if err != nil {
		return false
	}
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	for _, pattern := range d.Names {
		// A star stands for labels too: no name has a slash.
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

// lie makes the wrong answer; nil for none.
func (d *liar) lie(question []byte) []byte {
	if d.Answer == "timeout" {
		return nil
	}
	var p dnsmessage.Parser
	head, err := p.Start(question)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	reply := dnsmessage.Header{ID: head.ID, Response: true, OpCode: head.OpCode, RecursionDesired: head.RecursionDesired, RecursionAvailable: true}
	switch d.Answer {
	case "nxdomain":
		reply.RCode = dnsmessage.RCodeNameError
	case "servfail":
		reply.RCode = dnsmessage.RCodeServerFailure
	}
	b := dnsmessage.NewBuilder(nil, reply)
	err = errors.Join(b.StartQuestions(), b.Question(q), b.StartAnswers())
	if d.Answer == "wrong" {
		for _, a := range d.Addresses {
			h := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class} // with no time to live: nobody is to keep it
			switch {
			case q.Type == dnsmessage.TypeA && a.Is4():
				err = errors.Join(err, b.AResource(h, dnsmessage.AResource{A: a.As4()}))
			case q.Type == dnsmessage.TypeAAAA && a.Is6():
				err = errors.Join(err, b.AAAAResource(h, dnsmessage.AAAAResource{AAAA: a.As16()}))
			}
		}
	}
	answer, err2 := b.Finish()
	if err != nil || err2 != nil {
		return nil
	}
	return answer
}

// ask passes a question on to a true name server.
func (d *liar) ask(question []byte, network string, server netip.AddrPort) ([]byte, error) {
	dialer := net.Dialer{Timeout: patience, Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, spare) })
		return errors.Join(err, failed)
	}}
	c, err := dialer.DialContext(d.ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	stop := context.AfterFunc(d.ctx, func() { c.Close() })
	defer stop()
	_ = c.SetDeadline(time.Now().Add(patience))
	if network == "tcp" {
		if _, err := c.Write(framed(question)); err != nil {
			return nil, err
		}
		return readFramed(c)
	}
	if _, err := c.Write(question); err != nil {
		return nil, err
	}
	buffer := make([]byte, longestQuestion)
	n, err := c.Read(buffer)
	return buffer[:n], err
}
