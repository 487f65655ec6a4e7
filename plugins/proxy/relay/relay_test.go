//go:build linux

package relay

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/nobody"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server accepts connections until the test ends and lets serve have each of them.
func server(t testing.TB, serve func(*net.TCPConn)) string {
	t.Helper()
	l := listen(t)
	var running sync.WaitGroup
	var mu sync.Mutex
	var all []net.Conn
	running.Go(func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			mu.Lock()
			all = append(all, c)
			mu.Unlock()
			running.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range all {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return l.Addr().String()
}

func echo(c *net.TCPConn) {
	_, _ = io.Copy(c, c)
	_ = c.CloseWrite()
}

func listen(t testing.TB) *net.TCPListener {
	t.Helper()
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// start starts a proxy before a server.
func start(t testing.TB, upstream string) *Proxy {
	t.Helper()
	p := Start(listen(t), To(upstream))
	t.Cleanup(func() { p.Close() })
	return p
}

func dial(t testing.TB, p *Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(enough)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func add(t testing.TB, p *Proxy, id string, f Fault) {
	t.Helper()
	if f.Percent == 0 {
		f.Percent = 100
	}
	if err := p.Add(id, f); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, p *Proxy, id string) {
	t.Helper()
	if found, err := p.Remove(id); !found || err != nil {
		t.Fatalf("remove %s: found %v, %v", id, found, err)
	}
}

// ask sends a line and reads as much back.
func ask(c net.Conn, text string) (time.Duration, error) {
	at := time.Now()
	if _, err := io.WriteString(c, text); err != nil {
		return 0, err
	}
	answer := make([]byte, len(text))
	if _, err := io.ReadFull(c, answer); err != nil {
		return 0, err
	}
	if string(answer) != text {
		return 0, fmt.Errorf("asked %q, was answered %q", text, answer)
	}
	return time.Since(at), nil
}

func mustAsk(t testing.TB, c net.Conn) time.Duration {
	t.Helper()
	d, err := ask(c, "how are you?")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// quiet is true when nothing comes from c for a while, which is longer than a busy machine
// keeps an answer waiting.
func quiet(t testing.TB, c net.Conn) bool {
	t.Helper()
	defer c.SetReadDeadline(time.Now().Add(enough))
	if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err := c.Read(make([]byte, 1))
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// keeps sends data until no answer comes, and returns what is kept. What is on its way
// when a fault begins may still pass.
func keeps(t testing.TB, c net.Conn) (held string) {
	t.Helper()
	for try := range 100 {
		held = fmt.Sprintf("held back %d", try)
		if _, err := io.WriteString(c, held); err != nil {
			t.Fatal(err)
		}
		if quiet(t, c) {
			return held
		}
		if _, err := io.ReadFull(c, make([]byte, len(held)-1)); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("everything passes")
	return ""
}

// comes checks that data comes.
func comes(t testing.TB, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Errorf("%q came, %v; not %q", got, err, want)
	}
}

func within(t testing.TB, what string, holds func() bool) {
	t.Helper()
	end := time.Now().Add(enough)
	for !holds() {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// enough is how long a test waits for what has to come, however busy the machine is.
const enough = 3 * time.Minute

func TestHalfCloseKeepsTheAnswer(t *testing.T) {
	p := start(t, server(t, func(c *net.TCPConn) {
		question, _ := io.ReadAll(c) // answers only when the question has ended
		_, _ = c.Write(bytes.ToUpper(question))
	}))
	for _, f := range []Effect{nil, Delay{Delay: time.Millisecond}, Slicer{Size: 3}} {
		if f != nil {
			add(t, p, "f", Fault{Effect: f, Direction: Both})
		}
		c := dial(t, p)
		if _, err := io.WriteString(c, "question"); err != nil {
			t.Fatal(err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c)
		if err != nil || string(answer) != "QUESTION" {
			t.Errorf("under %T: %q, %v", f, answer, err)
		}
		if f != nil {
			remove(t, p, "f")
		}
	}
}

// Faults that delay and cut come and go while data flows both ways: not a byte is
// lost, changed or moved.
func TestDataStaysWhole(t *testing.T) {
	p := start(t, server(t, echo))
	c := dial(t, p)
	const size = 24 << 20
	data := make([]byte, size)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	var stop atomic.Bool
	var changes sync.WaitGroup
	changes.Go(func() {
		effects := []Effect{
			Delay{Delay: 2 * time.Millisecond, Jitter: 2 * time.Millisecond}, Slicer{Size: 5000, Variation: 4000},
			Bandwidth{Rate: 200e6}, Bandwidth{Rate: 300e6, Shared: true}, Timeout{}, SlowClose{},
		}
		for i := 0; !stop.Load(); i++ {
			id := fmt.Sprint(i)
			if err := p.Add(id, Fault{Effect: effects[r.IntN(len(effects))], Direction: Direction(r.IntN(3)), Percent: 100}); err != nil {
				t.Error(err)
				return
			}
			<-time.After(time.Duration(r.IntN(4000)) * time.Microsecond)
			if i%3 == 0 {
				continue // stays for a while beside the others
			}
			for j := max(0, i-2); j <= i; j++ {
				if _, err := p.Remove(fmt.Sprint(j)); err != nil {
					t.Error(err)
				}
			}
		}
		for i := range 1 << 16 {
			if _, err := p.Remove(fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		}
	})
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(data)
		if err == nil {
			err = c.CloseWrite()
		}
		sent <- err
	}()
	sum, n := sha256.New(), int64(0)
	n, err := io.Copy(sum, c)
	stop.Store(true)
	changes.Wait()
	if err != nil || n != size {
		t.Fatalf("got %d of %d bytes back: %v", n, size, err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if want := sha256.Sum256(data); !bytes.Equal(sum.Sum(nil), want[:]) {
		t.Error("the data was changed on the way")
	}
}

// A client that does not read fills every buffer. Faults come and go all the same,
// and what was held back flows when it reads at last.
func TestNothingWaitsForAClientThatDoesNotRead(t *testing.T) {
	const size = 32 << 20
	p := start(t, server(t, func(c *net.TCPConn) { _, _ = c.Write(make([]byte, size)) }))
	for _, e := range []Effect{Delay{Delay: time.Hour}, Delay{Delay: time.Millisecond}, Slicer{Size: 1000}, Timeout{}, Bandwidth{Rate: 1}} {
		add(t, p, "f", Fault{Effect: e, Direction: Both})
		c := dial(t, p)
		within(t, "the fault acts", func() bool { s, _ := p.Seen("f"); return s.Hit > 0 })
		at := time.Now()
		remove(t, p, "f")
		if took := time.Since(at); took > enough {
			t.Errorf("removing %T took %s", e, took)
		}
		n, err := io.Copy(io.Discard, c)
		if err != nil || n != size {
			t.Errorf("after %T: %d of %d bytes, %v", e, n, size, err)
		}
		c.Close()
	}
}

func TestDelay(t *testing.T) {
	p := start(t, server(t, echo))
	c := dial(t, p)
	// A fault delays every answer, and a busy machine some: the quickest tells. It is asked
	// for until it comes, or never does.
	quickest := func(most time.Duration) time.Duration {
		least := mustAsk(t, c)
		for n := 0; n < 20 || n < 500 && least > most; n++ {
			least = min(least, mustAsk(t, c))
		}
		return least
	}
	const delay = 20 * time.Millisecond
	add(t, p, "f", Fault{Effect: Delay{Delay: delay}, Direction: Downstream})
	if took := quickest(2 * delay); took < delay || took > 2*delay {
		t.Errorf("under a delay of %s an answer takes %s", delay, took)
	}
	add(t, p, "g", Fault{Effect: Delay{Delay: delay}, Direction: Both})
	if took := quickest(4 * delay); took < 3*delay || took > 4*delay {
		t.Errorf("under three delays of %s an answer takes %s", delay, took)
	}
	remove(t, p, "f")
	remove(t, p, "g")
	if took := quickest(delay / 2); took > delay/2 {
		t.Errorf("without faults an answer takes %s", took)
	}
}

func TestRemovingADelayReleasesWhatIsHeld(t *testing.T) {
	p := start(t, server(t, echo))
	c := dial(t, p)
	mustAsk(t, c)
	add(t, p, "f", Fault{Effect: Delay{Delay: time.Hour}, Direction: Downstream})
	held := keeps(t, c)
	remove(t, p, "f")
	comes(t, c, held)
}

func TestJitterFollowsTheSeed(t *testing.T) {
	draw := func(seed uint64) (out []time.Duration) {
		c := &course{}
		c.add(newLane(newActive("f", Fault{Seed: seed, Effect: Delay{Delay: time.Second, Jitter: time.Second / 2}}), 3, Upstream))
		for range 1000 {
			out = append(out, c.draw())
		}
		return out
	}
	one, other := draw(1), draw(2)
	if !slices.Equal(one, draw(1)) || slices.Equal(one, other) {
		t.Error("the seed does not decide the jitter")
	}
	if least, most := slices.Min(one), slices.Max(one); least < time.Second/2 || most > 3*time.Second/2 || most-least < 900*time.Millisecond {
		t.Errorf("1 s ± 0.5 s came out from %s to %s", least, most)
	}
}

func TestBandwidth(t *testing.T) {
	const rate, size = 4e6, 2e6
	p := start(t, server(t, func(c *net.TCPConn) { _, _ = c.Write(make([]byte, size)) }))
	fetch := func() {
		c := dial(t, p)
		if n, err := io.Copy(io.Discard, c); n != size || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
	for _, c := range []struct {
		shared bool
		want   time.Duration
	}{{false, 500 * time.Millisecond}, {true, time.Second}} {
		// A busy machine makes it slower for a while, nothing makes it faster.
		for try := 1; ; try++ {
			add(t, p, "f", Fault{Effect: Bandwidth{Rate: rate, Shared: c.shared}, Direction: Downstream})
			at := time.Now()
			var both sync.WaitGroup
			both.Go(fetch)
			both.Go(fetch)
			both.Wait()
			took := time.Since(at)
			remove(t, p, "f")
			fast, slow := took < c.want*88/100, took > 2*c.want
			if fast || slow && try == 20 {
				t.Errorf("two connections of %.0f MB at %.0f MB/s, shared %v, took %s, not %s", size/1e6, rate/1e6, c.shared, took, c.want)
			}
			if fast || !slow || try == 20 {
				break
			}
		}
	}
}

func TestSlicer(t *testing.T) {
	sizes := make(chan int, 1000)
	p := start(t, server(t, func(c *net.TCPConn) {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				sizes <- 0
				return
			}
			sizes <- n
		}
	}))
	add(t, p, "f", Fault{Effect: Slicer{Size: 10, Variation: 5, Delay: 4 * time.Millisecond}, Direction: Upstream})
	var small int
	for try := 0; try < 20 && small < 8; try++ { // a reader that is late gets several slices at once
		c := dial(t, p)
		if _, err := io.WriteString(c, strings.Repeat("x", 200)); err != nil {
			t.Fatal(err)
		}
		c.Close()
		var total int
		small = 0
		for n := <-sizes; n > 0; n = <-sizes {
			if total += n; n <= 15 {
				small++
			}
		}
		if total != 200 {
			t.Errorf("200 bytes came as %d", total)
		}
	}
	if small < 8 {
		t.Errorf("200 bytes in slices of 5 to 15 came with %d slices apart", small)
	}
}

func TestLimit(t *testing.T) {
	p := start(t, server(t, func(c *net.TCPConn) { _, _ = c.Write(make([]byte, 1<<20)) }))
	add(t, p, "f", Fault{Effect: Limit{Bytes: 100_000}, Direction: Downstream})
	n, _ := io.Copy(io.Discard, dial(t, p))
	if n != 100_000 {
		t.Errorf("%d bytes came through a limit of 100000", n)
	}
	remove(t, p, "f")
	if n, err := io.Copy(io.Discard, dial(t, p)); n != 1<<20 || err != nil {
		t.Errorf("without it: %d, %v", n, err)
	}
}

func TestSlowClose(t *testing.T) {
	p := start(t, server(t, func(c *net.TCPConn) { _, _ = io.WriteString(c, "bye") }))
	add(t, p, "f", Fault{Effect: SlowClose{Delay: 150 * time.Millisecond}, Direction: Downstream})
	at := time.Now() // the server ends later than this
	c := dial(t, p)
	if _, err := io.ReadFull(c, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
	if took := time.Since(at); took < 150*time.Millisecond {
		t.Errorf("the end came after %s", took)
	}
	add(t, p, "g", Fault{Effect: SlowClose{Delay: time.Hour}, Direction: Downstream})
	c = dial(t, p)
	if _, err := io.ReadFull(c, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if !quiet(t, c) {
		t.Error("the end came within an hour")
	}
	remove(t, p, "g")
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
}

func TestTimeout(t *testing.T) {
	p := start(t, server(t, echo))
	c := dial(t, p)
	mustAsk(t, c)
	add(t, p, "f", Fault{Effect: Timeout{}, Direction: Both})
	if s, _ := p.Seen("f"); s.Acted != 0 {
		t.Error("a black hole acted on a connection without data")
	}
	held := keeps(t, c)
	within(t, "the fault counts what it keeps", func() bool { s, _ := p.Seen("f"); return s.Acted > 0 })
	remove(t, p, "f")
	comes(t, c, held)

	add(t, p, "f", Fault{Effect: Timeout{After: 50 * time.Millisecond}, Direction: Both})
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after its time the connection gave %v", err)
	}
	remove(t, p, "f")
	c = dial(t, p)
	mustAsk(t, c)
	add(t, p, "f", Fault{Effect: Timeout{CloseAtEnd: true}, Direction: Both})
	remove(t, p, "f")
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the end of the fault the connection gave %v", err)
	}
}

func TestReset(t *testing.T) {
	p := start(t, server(t, echo))
	old := dial(t, p)
	mustAsk(t, old)
	add(t, p, "f", Fault{Effect: Reset{}})
	if _, err := old.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a live connection ended with %v", err)
	}
	// The reset of a new one may come while it still connects.
	if c, err := net.Dial("tcp", p.Addr().String()); err == nil {
		_, err = ask(c, "hello?")
		c.Close()
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("a new connection ended with %v", err)
		}
	}
	remove(t, p, "f")
	add(t, p, "later", Fault{Effect: Reset{After: time.Hour}})
	c := dial(t, p)
	mustAsk(t, c)
	remove(t, p, "later")
	mustAsk(t, c)
}

// refused tries whether a new connection is refused.
func refused(p *Proxy) bool {
	c, err := net.Dial("tcp", p.Addr().String())
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

func TestRefuseAndDown(t *testing.T) {
	p := start(t, server(t, echo))
	old := dial(t, p)
	mustAsk(t, old)
	add(t, p, "refuse", Fault{Effect: Refuse{}})
	if !refused(p) {
		t.Error("a new connection was not refused")
	}
	plain := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 0) })
	}}
	if l, err := plain.Listen(t.Context(), "tcp", p.Addr().String()); err == nil {
		l.Close()
		t.Error("the port was given away")
	}
	mustAsk(t, old)
	add(t, p, "down", Fault{Effect: Down{}})
	if _, err := old.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a live connection of a server that is down gave %v", err)
	}
	remove(t, p, "refuse")
	if !refused(p) {
		t.Error("a new connection was accepted although the server is down")
	}
	remove(t, p, "down")
	for range 3 {
		mustAsk(t, dial(t, p))
	}
}

func TestSlowAcceptQueues(t *testing.T) {
	p := start(t, server(t, echo))
	const delay = 60 * time.Millisecond
	add(t, p, "f", Fault{Effect: SlowAccept{Delay: delay}})
	at := time.Now()
	a, b, c := dial(t, p), dial(t, p), dial(t, p)
	for i, x := range []net.Conn{a, b, c} {
		mustAsk(t, x)
		if took, least := time.Since(at), time.Duration(i+1)*delay*95/100; took < least {
			t.Errorf("connection %d was served after %s, not %s", i, took, least)
		}
	}
	add(t, p, "g", Fault{Effect: SlowAccept{Delay: time.Hour}})
	x := dial(t, p)
	within(t, "the connection is seen", func() bool { s, _ := p.Seen("g"); return s.Connections == 4 })
	remove(t, p, "g")
	mustAsk(t, x)
}

func TestSlowConnectDoesNotQueue(t *testing.T) {
	p := start(t, server(t, echo))
	add(t, p, "f", Fault{Effect: SlowConnect{Delay: time.Hour}, First: 1})
	slow, quick := dial(t, p), dial(t, p)
	mustAsk(t, dial(t, p))
	mustAsk(t, quick)
	if _, err := io.WriteString(slow, "x"); err != nil {
		t.Fatal(err)
	}
	if !quiet(t, slow) {
		t.Error("a connection to the server was made within an hour")
	}
	remove(t, p, "f")
	if _, err := io.ReadFull(slow, make([]byte, 1)); err != nil {
		t.Error(err)
	}
}

// The same seed hits the same connections, another one others, and so many of them.
func TestShareOfConnections(t *testing.T) {
	hits := func(f Fault) (out []bool) {
		a := newActive("f", f)
		for range 2000 {
			_, hit := a.strikes()
			out = append(out, hit)
		}
		return out
	}
	count := func(all []bool) (n int) {
		for _, x := range all {
			if x {
				n++
			}
		}
		return n
	}
	one, other := hits(Fault{Percent: 30, Seed: 1}), hits(Fault{Percent: 30, Seed: 2})
	if !slices.Equal(one, hits(Fault{Percent: 30, Seed: 1})) || slices.Equal(one, other) {
		t.Error("the seed does not decide which connections are hit")
	}
	// 600 expected, standard deviation 20.
	if n := count(one); n < 500 || n > 700 {
		t.Errorf("30 %% of 2000 connections are %d", n)
	}
	if n := count(hits(Fault{Percent: 100, First: 7})); n != 7 {
		t.Errorf("the first 7 are %d", n)
	}
	if n := count(hits(Fault{Percent: 0})); n != 0 {
		t.Errorf("0 %% are %d", n)
	}
}

func TestServerThatRefusesOrResets(t *testing.T) {
	p := start(t, nobody.Listens(t))
	early, err := net.Dial("tcp", p.Addr().String()) // the reset may come while it still connects
	if err == nil {
		_, err = early.Read(make([]byte, 1))
		early.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("before a server that refuses, a connection ends with %v", err)
	}
	p = start(t, server(t, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1))
		_ = c.SetLinger(0)
	}))
	c := dial(t, p)
	if _, err := io.WriteString(c, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a reset of the server came through as %v", err)
	}
	within(t, "the connection is forgotten", func() bool { return p.Connections() == 0 })
}

func TestTwoFaultsOfOneID(t *testing.T) {
	p := start(t, server(t, echo))
	add(t, p, "f", Fault{Effect: Delay{}})
	if err := p.Add("f", Fault{Effect: Delay{}}); err == nil {
		t.Error("a second fault with the same id was taken")
	}
	if found, err := p.Remove("g"); found || err != nil {
		t.Errorf("%v, %v", found, err)
	}
}
