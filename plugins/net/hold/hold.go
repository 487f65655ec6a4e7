//go:build linux

// Package hold keeps faults in the network namespace that it lives in: as a child of the
// plugin, or as a helper container beside the target. It speaks JSON, a line an order and
// a line an answer, on its standard input and output.
//
// What it keeps ends when its lease does, when its input ends (nobody is there any more),
// and with itself: its tables belong to its process, and the kernel removes them with it.
package hold

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/faultline-go/faultline/plugins/net/impair"
)

// Order asks for something. What a fault is stands in every order.
type Order struct {
	Do   string        `json:"do"` // in, renew, look, out; able, devices, resolve, servers
	Spec impair.Spec   `json:"spec"`
	Late *impair.Netem `json:"late,omitempty"` // what is done in user space, where the kernel lacks netem
	Lie  *Lie          `json:"lie,omitempty"`
	TTL  time.Duration `json:"ttl,omitempty"`
	Name string        `json:"name,omitempty"` // of the interface or host that is asked about
}

// Answer says what came of an order.
type Answer struct {
	Error   string           `json:"error,omitempty"`
	State   impair.State     `json:"state"`
	Changed bool             `json:"changed,omitempty"`
	Able    impair.Abilities `json:"able"`
	Devices []impair.Device  `json:"devices,omitempty"`
	Hosts   []netip.Addr     `json:"hosts,omitempty"`
}

// held is a fault that is in.
type held struct {
	order   Order
	program program // nil for a fault that the kernel does alone
	until   time.Time
}

// program is a fault's own part of work.
type program interface {
	// met counts what it has done to packets or questions.
	met() uint64
	stop()
}

// keeper is the only goroutine that works on the namespace.
type keeper struct {
	site *impair.Site
	held map[string]*held // by mark
}

// Serve keeps faults until its input ends or the last of them is over, and removes what
// is left.
func Serve(in io.Reader, out io.Writer) error {
	site, err := impair.Open(true)
	if err != nil {
		return errors.Join(err, say(out, Answer{Error: err.Error()}))
	}
	k := &keeper{site: site, held: map[string]*held{}}
	defer site.Close()
	defer k.outAll()
	orders := make(chan Order)
	go func() {
		defer close(orders)
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			var o Order
			if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
				return // whoever talks like that is not to be trusted with a fault
			}
			orders <- o
		}
	}()
	for {
		timer := time.NewTimer(k.next())
		select {
		case o, ok := <-orders:
			timer.Stop()
			if !ok {
				return nil
			}
			if err := say(out, k.do(o)); err != nil {
				return err
			}
		case <-timer.C:
			if k.expire(); len(k.held) == 0 {
				return errors.New("the lease has run out") // the driver is frozen: nobody reads answers
			}
		}
	}
}

func say(out io.Writer, a Answer) error {
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = out.Write(append(line, '\n'))
	return err
}

// idle is how long a keeper waits for its first fault.
const idle = time.Minute

// next is how long until the first lease runs out.
func (k *keeper) next() time.Duration {
	least := idle
	for _, h := range k.held {
		least = min(least, time.Until(h.until))
	}
	return max(least, 0)
}

func (k *keeper) do(o Order) (a Answer) {
	var err error
	switch o.Do {
	case "in":
		err = k.in(o)
	case "renew":
		err = k.renew(o)
	case "look":
		a.State, err = k.look(o)
	case "out":
		a.Changed, err = k.out(o)
	case "able":
		a.Able, err = impair.AbleHere()
	case "devices":
		a.Devices, err = impair.Choose(o.Name, o.Spec)
	case "resolve":
		a.Hosts, err = resolve(o.Name)
	case "servers":
		a.Hosts = NameServers("/etc/resolv.conf")
	default:
		err = fmt.Errorf("there is no order %q", o.Do)
	}
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

func (k *keeper) in(o Order) error {
	if k.held[o.Spec.Mark] != nil {
		return errors.New("this fault is in already")
	}
	h := &held{order: o, until: time.Now().Add(o.TTL)}
	var err error
	switch {
	case o.Late != nil:
		h.program, err = queued(*o.Late, &h.order.Spec)
	case o.Lie != nil:
		h.program, err = lying(*o.Lie, &h.order.Spec)
	}
	if err != nil {
		return err
	}
	k.held[o.Spec.Mark] = h // also half of it has to be taken out again
	return k.site.In(h.order.Spec, o.TTL)
}

func (k *keeper) renew(o Order) error {
	h := k.held[o.Spec.Mark]
	if h == nil {
		return errors.New("this fault is not held here any more")
	}
	h.until = time.Now().Add(o.TTL)
	return k.site.Renew(h.order.Spec, o.TTL)
}

func (k *keeper) look(o Order) (impair.State, error) {
	h := k.held[o.Spec.Mark]
	if h == nil {
		return k.site.Look(o.Spec)
	}
	is, err := k.site.Look(h.order.Spec)
	if h.program != nil {
		is.Packets = h.program.met()
	}
	return is, err
}

// out removes a fault, also one that somebody else has left behind.
func (k *keeper) out(o Order) (bool, error) {
	changed, err := k.site.Out(o.Spec)
	if h := k.held[o.Spec.Mark]; h != nil && err == nil {
		// Only now that no packet comes to it any more.
		if h.program != nil {
			h.program.stop()
		}
		delete(k.held, o.Spec.Mark)
		changed = true
	}
	if err != nil {
		return changed, err
	}
	is, err := k.site.Look(o.Spec)
	if err == nil && is.Any {
		err = errors.New("removed, but the kernel still shows something of it")
	}
	return changed, err
}

func (k *keeper) expire() {
	for _, h := range k.held {
		if time.Until(h.until) <= 0 {
			_, _ = k.out(h.order) // what fails ends with this process
		}
	}
}

func (k *keeper) outAll() {
	for _, h := range k.held {
		_, _ = k.out(h.order)
	}
}
