// Package impair makes the network of one namespace worse, and better again.
//
// A Spec says what is to happen to which packets. In puts it into the network namespace
// that the caller is in, Look reads back from the kernel what is there, Renew prolongs
// it, and Out removes it, knowing nothing but the Spec: another process after a crash can
// do so.
//
// One nftables table chooses the packets, whatever happens to them then: they are
// dropped, answered, handed to user space, or led into a queue of the device where
// netem or a token bucket waits for them. Every rule begins with a look into the set
// "armed", whose elements run out. So the kernel itself ends every fault when nobody
// renews it: what is left then (a table, a queueing discipline that no packet is led
// into) does nothing. See docs/decisions/kernel-ends-network-faults.md.
package impair

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Spec is an impairment. It is data: it travels in undo records, and to helpers.
type Spec struct {
	// Mark names everything that this impairment makes: 12 hexadecimal digits.
	Mark string `json:"mark"`
	// Devices are the interfaces that are worked on. Empty, where the action allows it:
	// all but the loopback.
	Devices []Device `json:"devices,omitempty"`
	Match   Match    `json:"match"`
	Action  Action   `json:"action"`

	sinks map[string]int // device → index of the one that its packets are handed over to
}

// Device is an interface with the queueing discipline that it had.
type Device struct {
	Name string `json:"name"`
	Root *Qdisc `json:"root,omitempty"` // nil: what the kernel gives it by itself
}

// Direction is seen from the target.
type Direction string

// The directions.
const (
	Out  Direction = "out"
	In   Direction = "in"
	Both Direction = "both"
)

// ways are the single directions of a direction.
func (d Direction) ways() []Direction {
	if d == Both {
		return []Direction{Out, In}
	}
	return []Direction{d}
}

// Match chooses packets. What is empty does not choose.
type Match struct {
	Direction Direction      `json:"direction"`
	To        []netip.Prefix `json:"to,omitempty"`   // peers of packets that leave
	From      []netip.Prefix `json:"from,omitempty"` // peers of packets that arrive
	Ports     []Ports        `json:"ports,omitempty"`
	PortsOf   PortsOf        `json:"ports_of,omitempty"`
	Protocols []string       `json:"protocols,omitempty"` // tcp, udp, icmp
	Percent   float64        `json:"percent,omitempty"`   // of the packets, at random; 0: all
	// Spare leaves packets alone that bear this mark of the kernel's; 0: none.
	Spare uint32 `json:"spare,omitempty"`
}

// Ports is a range of ports, both included.
type Ports struct {
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
}

// PortsOf says whose port it is that Ports chooses.
type PortsOf string

// Either end's, the target's own, or the peer's.
const (
	Either PortsOf = "either"
	Target PortsOf = "target"
	Peer   PortsOf = "peer"
)

// Action is what happens to the packets: exactly one of these.
type Action struct {
	Drop   bool   `json:"drop,omitempty"`
	Reject bool   `json:"reject,omitempty"` // drop, and say so to the sender
	Netem  *Netem `json:"netem,omitempty"`
	Rate   *Rate  `json:"rate,omitempty"`
	Queue  *Queue `json:"queue,omitempty"` // to user space
	// Redirect leads packets to a port of the target's own.
	Redirect uint16 `json:"redirect,omitempty"`
}

// Rate is a token bucket.
type Rate struct {
	Bytes uint64 `json:"bytes"` // a second
	Burst uint32 `json:"burst"` // bytes that may go at once
	Limit uint32 `json:"limit"` // bytes that may wait
}

// Queue hands packets to whoever has opened the queue of that number. Without anybody
// there, they go on as if nothing were.
type Queue struct {
	Number uint16 `json:"number"`
}

// Netem is delay and damage by the kernel's netem. Shares are from 0 to 1.
type Netem struct {
	Delay        time.Duration `json:"delay,omitempty"`
	Jitter       time.Duration `json:"jitter,omitempty"`
	Correlation  float64       `json:"correlation,omitempty"` // of delay, or of the damage
	Distribution string        `json:"distribution,omitempty"`
	Loss         float64       `json:"loss,omitempty"`
	Gilbert      *Gilbert      `json:"gilbert,omitempty"`
	Duplicate    float64       `json:"duplicate,omitempty"`
	Corrupt      float64       `json:"corrupt,omitempty"`
	Reorder      float64       `json:"reorder,omitempty"`
	Gap          uint32        `json:"gap,omitempty"`
}

// Gilbert is the Gilbert-Elliott model of loss: a good and a bad state, each with its own
// share of loss, and the chances to go from one to the other with a packet.
type Gilbert struct {
	ToBad    float64 `json:"to_bad"`
	ToGood   float64 `json:"to_good"`
	LossBad  float64 `json:"loss_bad"`
	LossGood float64 `json:"loss_good"`
}

// Queued says whether packets are led into a queueing discipline of a device.
func (a Action) Queued() bool { return a.Netem != nil || a.Rate != nil }

// errSpec is what a Spec of a scenario never is, because the plugin has checked it.
var errSpec = errors.New("this is no impairment")

func (s Spec) validate() error {
	if len(s.Mark) != markLength || slices.ContainsFunc([]byte(s.Mark), func(c byte) bool {
		return (c < '0' || '9' < c) && (c < 'a' || 'f' < c)
	}) {
		return fmt.Errorf("%w: mark %q", errSpec, s.Mark)
	}
	var actions int
	for _, is := range []bool{s.Action.Drop, s.Action.Reject, s.Action.Netem != nil, s.Action.Rate != nil, s.Action.Queue != nil, s.Action.Redirect != 0} {
		if is {
			actions++
		}
	}
	if actions != 1 {
		return fmt.Errorf("%w: it has %d actions", errSpec, actions)
	}
	if s.Action.Queued() && len(s.Devices) == 0 {
		return fmt.Errorf("%w: no device", errSpec)
	}
	if !slices.Contains([]Direction{Out, In, Both}, s.Match.Direction) {
		return fmt.Errorf("%w: direction %q", errSpec, s.Match.Direction)
	}
	return nil
}

const markLength = 12

// peers are the addresses at the other end, in one direction: those that the scenario
// gives for it, else those for the other.
func (m Match) peers(way Direction) []netip.Prefix {
	if way == Out && len(m.To) > 0 || len(m.From) == 0 {
		return m.To
	}
	return m.From
}
