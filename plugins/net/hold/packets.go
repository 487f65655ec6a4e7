//go:build linux

package hold

import (
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/net/impair"
)

// The netlink protocol of packet queues: linux/netfilter/nfnetlink_queue.h.
const (
	msgPacket  = unix.NFNL_SUBSYS_QUEUE << 8
	msgVerdict = unix.NFNL_SUBSYS_QUEUE<<8 | 1
	msgConfig  = unix.NFNL_SUBSYS_QUEUE<<8 | 2

	configCommand = 1
	configParams  = 2
	configLength  = 3

	packetHeader  = 1
	verdictHeader = 2

	commandBind = 1
	copyMeta    = 1

	verdictDrop   = 0
	verdictAccept = 1
)

// longestQueue is how many packets may wait; more are lost, as in a real queue.
const longestQueue = 20_000

// packets holds packets back in user space.
type packets struct {
	conn   *netlink.Conn
	number uint16
	count  atomic.Uint64
	done   chan struct{}
}

// queued opens a packet queue, notes its number in the spec, and begins to decide over
// what will be led into it.
func queued(l impair.Netem, s *impair.Spec) (program, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("open a packet queue: %w", err)
	}
	_ = conn.SetOption(netlink.NoENOBUFS, true) // packets that we are too slow for are lost, and that is all
	_ = conn.SetReadBuffer(8 << 20)
	p := &packets{conn: conn, done: make(chan struct{})}
	if err := p.bind(); err != nil {
		return nil, errors.Join(fmt.Errorf("open a packet queue: %w", err), conn.Close())
	}
	s.Action = impair.Action{Queue: &impair.Queue{Number: p.number}}
	go p.run(newFates(l, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))))
	return p, nil
}

// bind takes a queue that nobody has.
func (p *packets) bind() (err error) {
	for range 20 {
		p.number = uint16(1 + rand.IntN(65535))
		if err = p.config(configCommand, []byte{commandBind, 0, 0, 0}); err == nil {
			break
		}
		if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EPERM) {
			return err
		}
	}
	if err != nil {
		return err
	}
	if err := p.config(configParams, []byte{0, 0, 0, 0, copyMeta}); err != nil {
		return err
	}
	return p.config(configLength, binary.BigEndian.AppendUint32(nil, longestQueue))
}

func (p *packets) message(attributes ...netlink.Attribute) ([]byte, error) {
	raw, err := netlink.MarshalAttributes(attributes)
	head := binary.BigEndian.AppendUint16([]byte{unix.AF_UNSPEC, unix.NFNETLINK_V0}, p.number)
	return append(head, raw...), err
}

func (p *packets) config(kind uint16, value []byte) error {
	data, err := p.message(netlink.Attribute{Type: kind, Data: value})
	if err != nil {
		return err
	}
	_, err = p.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: msgConfig, Flags: netlink.Request | netlink.Acknowledge}, Data: data,
	})
	return err
}

func (p *packets) verdict(id uint32, verdict uint32) {
	value := binary.BigEndian.AppendUint32(nil, verdict)
	value = binary.BigEndian.AppendUint32(value, id)
	data, err := p.message(netlink.Attribute{Type: verdictHeader, Data: value})
	if err == nil {
		_, _ = p.conn.Send(netlink.Message{Header: netlink.Header{Type: msgVerdict, Flags: netlink.Request}, Data: data})
	}
}

func (p *packets) met() uint64 { return p.count.Load() }

// stop gives the queue up. What still waits in it is lost, which is why nothing is led
// into it any more by now.
func (p *packets) stop() {
	_ = p.conn.Close()
	<-p.done
}

// waiting is a packet that is held back.
type waiting struct {
	id    uint32
	due   time.Time
	order uint64 // packets that are due at the same time keep their order
}

type byDue []waiting

func (q byDue) Len() int { return len(q) }
func (q byDue) Less(i, j int) bool {
	if q[i].due.Equal(q[j].due) {
		return q[i].order < q[j].order
	}
	return q[i].due.Before(q[j].due)
}
func (q byDue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *byDue) Push(x any)   { *q = append(*q, x.(waiting)) }
func (q *byDue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// run decides over packets until the queue is closed.
func (p *packets) run(f *fates) {
	defer close(p.done)
	arrived := make(chan uint32, longestQueue)
	go p.read(arrived)
	var queue byDue
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for n := uint64(0); ; n++ {
		if len(queue) > 0 {
			timer.Reset(time.Until(queue[0].due))
		}
		select {
		case id, ok := <-arrived:
			if !ok {
				return
			}
			p.count.Add(1)
			switch lost, wait := f.next(); {
			case lost:
				p.verdict(id, verdictDrop)
			case wait == 0:
				p.verdict(id, verdictAccept)
			default:
				heap.Push(&queue, waiting{id, time.Now().Add(wait), n})
			}
		case <-timer.C:
		}
		for len(queue) > 0 && !queue[0].due.After(time.Now()) {
			p.verdict(heap.Pop(&queue).(waiting).id, verdictAccept)
		}
	}
}

// read passes the ids of arriving packets on.
func (p *packets) read(arrived chan<- uint32) {
	defer close(arrived)
	for {
		messages, err := p.conn.Receive()
		if err != nil {
			if errors.Is(err, unix.ENOBUFS) {
				continue
			}
			var broken *netlink.OpError
			if errors.As(err, &broken) && errors.Is(broken.Err, unix.ENOENT) {
				continue // a verdict over a packet that is gone
			}
			return
		}
		for _, m := range messages {
			if m.Header.Type != msgPacket || len(m.Data) < 4 {
				continue
			}
			d, err := netlink.NewAttributeDecoder(m.Data[4:])
			if err != nil {
				continue
			}
			for d.Next() {
				if d.Type() == packetHeader && len(d.Bytes()) >= 4 {
					arrived <- binary.BigEndian.Uint32(d.Bytes())
				}
			}
		}
	}
}
