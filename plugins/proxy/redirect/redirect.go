//go:build linux

// Package redirect leads connections of a network namespace through a listener of ours
// that nobody has to be told about. The rules stand in an nftables table that belongs
// to this process: when it ends, in whichever way, the kernel removes them, and new
// connections go where they were going before.
package redirect

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/netns"
	"github.com/faultline-go/faultline/plugins/internal/nft"
	"github.com/faultline-go/faultline/plugins/proxy/relay"
)

// Traffic says which connections are led.
type Traffic string

const (
	In  Traffic = "in"  // those that are made to a port of the namespace, also from inside
	Out Traffic = "out" // those that are made from inside, to a port anywhere
)

// Spec is what is led to the listener: TCP connections to these ports that are made
// afterwards. Older ones go on as they are.
type Spec struct {
	Table   string // name of the table
	Ports   []uint16
	Traffic Traffic
}

// mark is on the packets of our own connections to the server, which are not led back
// to us.
const mark = 0x6661756c

// connectTime is how long a connection to the server may take.
const connectTime = 30 * time.Second

// Redirect is a listener in a namespace, with the rules that lead to it.
type Redirect struct {
	Listener *net.TCPListener

	space  *netns.Namespace
	table  nft.Table
	chains []string

	mu      sync.Mutex
	rules   *nft.Conn // nil: none
	stopped bool
}

// Open opens a listener in a namespace, which it takes over. The caller has to call
// Close, when nobody calls Dial any more.
func Open(ctx context.Context, space *netns.Namespace) (*Redirect, error) {
	r := &Redirect{space: space}
	err := space.Do(func() (err error) {
		r.Listener, err = relay.Listen(ctx, ":0")
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen in the target's network: %w", err), space.Close())
	}
	return r, nil
}

// Lead leads connections to the listener from now on, until Stop.
func (r *Redirect) Lead(s Spec) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return errors.New("it was stopped before it began")
	}
	r.table = nft.Table{Family: nft.Inet, Name: s.Table}
	r.chains = s.chains()
	return r.space.Do(func() (err error) {
		if r.rules, err = nft.Dial(); err != nil {
			return err
		}
		return r.rules.Commit(s.batch(r.table, uint16(r.Listener.Addr().(*net.TCPAddr).Port)))
	})
}

// Led is how many connections were led to the listener.
func (r *Redirect) Led() (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rules == nil {
		return 0, nil
	}
	n, err := r.rules.Counted(r.table)
	return n.Packets, err // of each connection the first one
}

// Stop leads no more connections to the listener. Those that were still are, until
// Close.
func (r *Redirect) Stop() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped || r.rules == nil {
		r.stopped = true
		return nil
	}
	b := &nft.Batch{}
	for _, chain := range r.chains {
		b.FlushChain(r.table, chain)
	}
	if err := r.rules.Commit(b); err != nil {
		return err
	}
	r.stopped = true
	return nil
}

// Close removes the table and lets go of the namespace. The listener is its user's to
// close.
func (r *Redirect) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	err := r.space.Close()
	if r.rules != nil {
		err = errors.Join(err, r.rules.Close())
	}
	return err
}

// Dial makes the connection that a client wanted to make, from where it wanted to.
func (r *Redirect) Dial(ctx context.Context, client *net.TCPConn) (relay.Stream, error) {
	to, err := wanted(client)
	if err != nil {
		return nil, err
	}
	if to.Port == r.Listener.Addr().(*net.TCPAddr).Port {
		return nil, errors.New("a connection that nobody led here would be passed on to ourselves")
	}
	d := net.Dialer{Timeout: connectTime, Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, mark)
		})
		return errors.Join(err, failed)
	}}
	var c net.Conn
	err = r.space.Do(func() (err error) {
		c, err = d.DialContext(ctx, "tcp", to.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// wanted is where a connection was going before it was led to us.
func wanted(c *net.TCPConn) (to *net.TCPAddr, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	v4 := c.RemoteAddr().(*net.TCPAddr).IP.To4() != nil
	var failed error
	err = raw.Control(func(fd uintptr) {
		if v4 {
			// The option fills a sockaddr_in, which this call of x/sys has room for.
			var a *unix.IPv6Mreq
			if a, failed = unix.GetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IP, unix.SO_ORIGINAL_DST); failed == nil {
				b := a.Multiaddr
				to = &net.TCPAddr{IP: net.IPv4(b[4], b[5], b[6], b[7]), Port: int(binary.BigEndian.Uint16(b[2:4]))}
			}
			return
		}
		var a *unix.IPv6MTUInfo // begins with a sockaddr_in6
		if a, failed = unix.GetsockoptIPv6MTUInfo(int(fd), unix.IPPROTO_IPV6, unix.SO_ORIGINAL_DST); failed == nil {
			var port [2]byte
			binary.NativeEndian.PutUint16(port[:], a.Addr.Port)
			to = &net.TCPAddr{IP: a.Addr.Addr[:], Port: int(binary.BigEndian.Uint16(port[:]))}
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("find out where a connection was going: %w", err)
	}
	return to, nil
}

// priority is where destinations are usually changed.
const priority = -100

func (s Spec) chains() []string {
	if s.Traffic == In {
		return []string{"in", "out"}
	}
	return []string{"out"}
}

// batch is the table.
func (s Spec) batch(table nft.Table, port uint16) *nft.Batch {
	b := &nft.Batch{}
	b.AddTable(table, nft.Owner)
	b.Track(table, "tracked") // so that those led live on when the rules that lead are gone
	if s.Traffic == In {
		b.AddChain(nft.Chain{Table: table, Name: "in", Type: "nat", Hook: unix.NF_INET_PRE_ROUTING, Priority: priority})
	}
	b.AddChain(nft.Chain{Table: table, Name: "out", Type: "nat", Hook: unix.NF_INET_LOCAL_OUT, Priority: priority})
	for _, p := range s.Ports {
		if s.Traffic == In {
			b.AddRule(table, "in", rule(p, port)...)
			b.AddRule(table, "out", append(inside(), rule(p, port)...)...)
			continue
		}
		b.AddRule(table, "out", rule(p, port)...)
	}
	return b
}

// inside fits what stays inside the namespace.
func inside() []nft.Expression {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, "lo")
	return []nft.Expression{
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: name},
	}
}

// Flags of a TCP header, at its byte 13.
const (
	flagsAt                 = 13
	fin, syn, rst, ack byte = 1, 2, 4, 16
)

// rule leads TCP connections to a port, but ours, to another one. Only a connection's
// first packet fits: where nobody has tracked connections before, the kernel takes the
// next packet of one that exists for its first, and would tear it from its server.
func rule(from, to uint16) []nft.Expression {
	return []nft.Expression{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, from)},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: flagsAt, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{fin | syn | rst | ack}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{syn}},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binary.NativeEndian.AppendUint32(nil, mark)},
		&expr.Counter{},
		&expr.Immediate{Register: 1, Data: binary.BigEndian.AppendUint16(nil, to)},
		&expr.Redir{RegisterProtoMin: 1, RegisterProtoMax: 1, Flags: unix.NF_NAT_RANGE_PROTO_SPECIFIED},
	}
}
