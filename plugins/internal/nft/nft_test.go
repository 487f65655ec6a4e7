//go:build linux

package nft

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/netns"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// inside runs a test in a network namespace of its own, with its loopback up.
func inside(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	plugintest.Need(t, "root", func() error {
		if os.Geteuid() != 0 {
			return errors.New("this user may not make network namespaces")
		}
		return nil
	})
	own, err := netns.Own()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if err := own.Do(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		test(t)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func dial(t *testing.T) *Conn {
	t.Helper()
	c, err := Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func commit(t *testing.T, c *Conn, fill func(*Batch)) {
	t.Helper()
	var b Batch
	fill(&b)
	if err := c.Commit(&b); err != nil {
		t.Fatal(err)
	}
}

func tables(t *testing.T, c *Conn) int {
	t.Helper()
	all, err := c.Tables("mine")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

var mine = Table{Inet, "mine"}

func TestAnOwnedTableGoesWithItsConnection(t *testing.T) {
	inside(t, func(t *testing.T) {
		owner, other := dial(t), dial(t)
		commit(t, owner, func(b *Batch) { b.AddTable(mine, Owner) })
		if n := tables(t, other); n != 1 {
			t.Fatalf("%d tables, want the one that was added", n)
		}
		var b Batch
		b.DelTable(mine)
		if err := other.Commit(&b); err == nil {
			t.Error("another connection removed the table")
		}
		owner.Close()
		if n := tables(t, other); n != 0 {
			t.Errorf("the table is still there after its owner's end")
		}
	})
}

func TestABatchIsWholeOrNothing(t *testing.T) {
	inside(t, func(t *testing.T) {
		c := dial(t)
		var b Batch
		b.AddTable(mine, 0)
		b.AddRule(mine, "no such chain", &expr.Counter{})
		b.AddRule(mine, "nor this one", &expr.Counter{})
		if err := c.Commit(&b); !errors.Is(err, unix.ENOENT) {
			t.Errorf("a batch with a rule in no chain: %v, want ENOENT", err)
		}
		if n := tables(t, c); n != 0 {
			t.Error("half of a batch was done")
		}
		commit(t, c, func(b *Batch) { b.AddTable(mine, 0) }) // what the error left unread does no harm
		if n := tables(t, c); n != 1 {
			t.Errorf("%d tables, want 1", n)
		}
	})
}

// On a busy machine others change tables all the time. What stays is in every list.
func TestTablesAreListedWhileOthersChange(t *testing.T) {
	inside(t, func(t *testing.T) {
		const staying = 3000 // more than one message of the kernel's holds
		name := func(i int) Table { return Table{Inet, fmt.Sprintf("mine%d", i%staying)} }
		reader, other := dial(t), dial(t)
		commit(t, other, func(b *Batch) {
			for i := range staying {
				b.AddTable(name(i), 0)
			}
		})
		stop, stopped := make(chan struct{}), make(chan error, 1)
		go func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					stopped <- nil
					return
				default:
				}
				if i%20 == 0 {
					<-time.After(20 * time.Millisecond) // or there is no list in one piece
				}
				var b Batch // at once: it is there at any time
				b.DelTable(name(i))
				b.AddTable(name(i), 0)
				if err := other.Commit(&b); err != nil {
					stopped <- err
					return
				}
			}
		}()
		for range 20 {
			all, err := reader.Tables("mine")
			if err != nil {
				t.Error(err)
				break
			}
			slices.SortFunc(all, func(a, b Table) int { return strings.Compare(a.Name, b.Name) })
			if all = slices.Compact(all); len(all) != staying {
				t.Errorf("%d of %d tables are in the list", len(all), staying)
				break
			}
		}
		close(stop)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

func TestElementsRunOutUnlessRenewed(t *testing.T) {
	inside(t, func(t *testing.T) {
		c := dial(t)
		const long = time.Hour
		value := func(d time.Duration) Element { return Element{Key: []byte{8, 0}, Timeout: d} }
		commit(t, c, func(b *Batch) {
			b.AddTable(mine, 0)
			b.AddSet(Set{Table: mine, Name: "s", ID: 1, KeyType: TypeEtherType, KeyLen: 2, Timeout: true})
			b.AddElements(mine, "s", value(300*time.Millisecond))
		})
		live := func() (int, time.Duration) {
			t.Helper()
			n, left, err := c.Live(mine, "s")
			if err != nil {
				t.Fatal(err)
			}
			return n, left
		}
		commit(t, c, func(b *Batch) { b.RenewElements(mine, "s", value(long)) })
		if n, left := live(); n != 1 || left < long/2 {
			t.Fatalf("after its renewal: %d elements, %s left", n, left)
		}
		commit(t, c, func(b *Batch) { b.RenewElements(mine, "s", value(50*time.Millisecond)) })
		for end := time.Now().Add(2 * time.Minute); ; {
			if n, _ := live(); n == 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatal("an element that ran out is still there")
			}
		}
		commit(t, c, func(b *Batch) { b.RenewElements(mine, "s", value(long)) }) // as if it were there
		if n, _ := live(); n != 1 {
			t.Errorf("%d elements after a late renewal, want 1", n)
		}
		commit(t, c, func(b *Batch) { b.ClearElements(mine, "s") })
		if n, _ := live(); n != 0 {
			t.Errorf("%d elements after the set was cleared", n)
		}
		if n, _, err := c.Live(Table{Inet, "none"}, "s"); n != 0 || err != nil {
			t.Errorf("a set that does not exist: %d, %v", n, err)
		}
	})
}

func TestCounters(t *testing.T) {
	inside(t, func(t *testing.T) {
		c := dial(t)
		commit(t, c, func(b *Batch) {
			b.AddTable(mine, 0)
			b.AddChain(Chain{Table: mine, Name: "o", Type: "filter", Hook: unix.NF_INET_LOCAL_OUT})
			b.AddRule(mine, "o", &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictAccept})
		})
		up(t)
		conn, err := net.Dial("udp", "127.0.0.1:9")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		n, err := c.Counted(mine)
		if err != nil || n.Rules != 1 || n.Packets < 1 || n.Bytes < 29 {
			t.Errorf("counted %+v, %v", n, err)
		}
		if n, err := c.Counted(Table{Inet, "none"}); err != nil || n.Rules != 0 {
			t.Errorf("a table that does not exist: %+v, %v", n, err)
		}
	})
}

// up switches the loopback of the thread's namespace on.
func up(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Fatal(err)
	}
}
