//go:build linux

package impair

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/nft"
)

// State is what the kernel says of an impairment.
type State struct {
	// Armed is set while packets are led into it; Left is for how long, if nobody renews.
	Armed bool          `json:"armed"`
	Left  time.Duration `json:"left"`
	// Whole is set when everything that In makes is there, Any when something is.
	Whole bool `json:"whole"`
	Any   bool `json:"any"`
	// Packets and Bytes are those that were chosen. Dropped and Waiting are of the queues
	// that they are led into; other actions have none.
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
	Dropped uint64 `json:"dropped"`
	Waiting uint64 `json:"waiting"`
}

// Site works on the network namespace in which it was opened. Its other methods too have
// to be called inside of it, by one goroutine at a time.
type Site struct {
	conn  *nft.Conn
	route *route
	owner bool
}

// Open begins work in the caller's namespace. With owner, what the site puts in goes, at
// the latest, with this process: the kernel removes it.
func Open(owner bool) (*Site, error) {
	c, err := nft.Dial()
	if err != nil {
		return nil, err
	}
	r, err := dialRoute()
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &Site{c, r, owner}, nil
}

// Close ends the work; of an owner, that is the end of all it has put in.
func (s *Site) Close() error { return errors.Join(s.conn.Close(), s.route.close()) }

// In puts an impairment in, for ttl, and reads it back. After an error part of it may be
// there: Out removes it.
func (s *Site) In(spec Spec, ttl time.Duration) error {
	if err := spec.validate(); err != nil {
		return err
	}
	// The queues first: nothing is led into them until the table is there.
	if spec.Action.Queued() {
		for _, way := range spec.Match.Direction.ways() {
			if way == In {
				if err := spec.dig(s.route); err != nil {
					return err
				}
				continue
			}
			for _, d := range spec.Devices {
				if err := spec.plant(s.route, d); err != nil {
					return err
				}
			}
		}
	}
	var b nft.Batch
	var flags uint32
	if s.owner {
		flags = nft.Owner
	}
	rules := spec.write(&b, flags, ttl)
	err := s.conn.Commit(&b)
	if s.owner && errors.Is(err, unix.EOPNOTSUPP) {
		// Before Linux 5.12 no table belongs to anybody: it ends with its lease only.
		b = nft.Batch{}
		spec.write(&b, 0, ttl)
		err = s.conn.Commit(&b)
	}
	if err != nil {
		return explain(spec, err)
	}
	is, err := s.look(spec, rules)
	if err != nil {
		return err
	}
	if !is.Armed || !is.Whole {
		return fmt.Errorf("the kernel took it, and does not show all of it: %+v", is)
	}
	return nil
}

func explain(spec Spec, err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("change nftables: %w: that needs root, or NET_ADMIN", err)
	case errors.Is(err, unix.ENOENT) && spec.Action.Queue != nil:
		return fmt.Errorf("hand packets to user space: %w: this kernel lacks nft_compat or xt_NFQUEUE", err)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("change nftables: %w: this kernel lacks a part that the fault needs (nf_tables, nft_numgen, nft_reject, nft_redir, nft_fwd_netdev)", err)
	}
	return fmt.Errorf("change nftables: %w", err)
}

// Renew gives an impairment ttl from now on.
func (s *Site) Renew(spec Spec, ttl time.Duration) error {
	var b nft.Batch
	for _, t := range spec.tables() {
		b.RenewElements(t, armedSet, armed(ttl)...)
	}
	err := s.conn.Commit(&b)
	if errors.Is(err, unix.ENOENT) {
		return errors.New("it is not there any more")
	}
	return err
}

// Look reads back what is there.
func (s *Site) Look(spec Spec) (State, error) {
	var b nft.Batch
	rules := spec.write(&b, 0, time.Second) // only to count them
	return s.look(spec, rules)
}

func (s *Site) look(spec Spec, rules int) (is State, err error) {
	is = State{Armed: true, Whole: true}
	var seen int
	for _, t := range spec.tables() {
		n, err := s.conn.Counted(t)
		if err != nil {
			return is, err
		}
		live, left, err := s.conn.Live(t, armedSet)
		if err != nil {
			return is, err
		}
		seen += n.Rules
		is.Packets += n.Packets
		is.Bytes += n.Bytes
		is.Armed = is.Armed && live > 0
		if is.Left == 0 || left < is.Left {
			is.Left = left
		}
	}
	is.Whole, is.Any = seen == rules, seen > 0
	if !is.Any {
		if is.Any, err = s.tabled(spec); err != nil {
			return is, err
		}
	}
	if !spec.Action.Queued() {
		return is, nil
	}
	for i, d := range spec.Devices {
		for _, way := range spec.Match.Direction.ways() {
			var there bool
			var q queueStats
			var err error
			if way == In {
				there, q, err = spec.dug(s.route, i)
			} else {
				there, q, err = spec.standing(s.route, d)
			}
			if err != nil {
				return is, err
			}
			is.Whole, is.Any = is.Whole && there, is.Any || there
			is.Dropped += q.Dropped
			is.Waiting += q.Waiting
		}
	}
	return is, nil
}

// Out removes an impairment, and says whether there was anything of it.
func (s *Site) Out(spec Spec) (changed bool, err error) {
	if err := spec.validate(); err != nil {
		return false, err
	}
	if changed, err = s.untable(spec); err != nil {
		return false, fmt.Errorf("remove table %s: %w", spec.table().Name, err)
	}
	if !spec.Action.Queued() {
		return changed, nil
	}
	var failed []error
	note := func(did bool, err error) {
		changed = changed || did
		failed = append(failed, err)
	}
	if spec.Match.Direction != Out {
		note(spec.fill())
	}
	if spec.Match.Direction != In {
		for _, d := range spec.Devices {
			note(spec.fell(s.route, d))
		}
	}
	return changed, errors.Join(failed...)
}

// untable removes the tables.
func (s *Site) untable(spec Spec) (changed bool, err error) {
	// As they should be, without a look; and if they are not, those that are there.
	var b nft.Batch
	for _, t := range spec.tables() {
		b.DelTable(t)
	}
	if err = s.conn.Commit(&b); !errors.Is(err, unix.ENOENT) {
		return err == nil, err
	}
	there, err := s.conn.Tables(spec.table().Name)
	if err != nil {
		return false, err
	}
	b = nft.Batch{}
	for _, t := range there {
		b.DelTable(t)
	}
	// Two may do so at the same time: to find nothing is what is wanted.
	if err = s.conn.Commit(&b); errors.Is(err, unix.ENOENT) {
		err = nil
	}
	return err == nil && !b.Empty(), err
}

// Gone checks after Out that nothing of an impairment is left. That the devices have what
// they had, Out itself has seen.
func (s *Site) Gone(spec Spec) error {
	left, err := s.tabled(spec)
	if spec.Action.Queued() && spec.Match.Direction != Out {
		for i := range spec.Devices {
			if err != nil || left {
				break
			}
			left, _, err = spec.dug(s.route, i)
		}
	}
	if err == nil && left {
		err = errors.New("removed, but the kernel still shows something of it")
	}
	return err
}

// tabled says whether the impairment has a table.
func (s *Site) tabled(spec Spec) (bool, error) {
	there, err := s.conn.Tables(spec.table().Name)
	return len(there) > 0, err
}
