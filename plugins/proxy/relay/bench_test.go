//go:build linux

package relay

import (
	"io"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The benchmarks stand beside each other: the same traffic without the proxy
// ("direct") and through it.

// ways runs a benchmark on a direct connection and on one through a proxy.
func ways(b *testing.B, serve func(*net.TCPConn), fault *Fault, run func(b *testing.B, c *net.TCPConn)) {
	upstream := server(b, serve)
	b.Run("direct", func(b *testing.B) {
		c, err := net.Dial("tcp", upstream)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		run(b, c.(*net.TCPConn))
	})
	b.Run("proxy", func(b *testing.B) {
		p := start(b, upstream)
		if fault != nil {
			add(b, p, "f", *fault)
		}
		c, err := net.Dial("tcp", p.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		run(b, c.(*net.TCPConn))
	})
}

// endless writes until the other side has enough.
func endless(c *net.TCPConn) {
	buf := make([]byte, 1<<20)
	for {
		if _, err := c.Write(buf); err != nil {
			return
		}
	}
}

// fetch reads n bytes.
func fetch(b *testing.B, c net.Conn, buf []byte, n int64) {
	for n > 0 {
		m, err := c.Read(buf)
		if err != nil {
			b.Fatal(err)
		}
		n -= int64(m)
	}
}

// BenchmarkThroughput: one connection, as fast as it goes. "splice" is the floor: one
// thread that does nothing but move what is there, with no way to stop it.
func BenchmarkThroughput(b *testing.B) {
	run := func(b *testing.B, c *net.TCPConn) {
		const size = 256 << 20
		buf := make([]byte, 1<<20)
		fetch(b, c, buf, 32<<20) // until buffers have their size
		b.SetBytes(size)
		before := cpu(b)
		for b.Loop() {
			fetch(b, c, buf, size)
		}
		b.ReportMetric(float64((cpu(b)-before).Milliseconds())/float64(b.N)*(1<<30)/size, "cpu-ms/GiB")
	}
	ways(b, endless, nil, run)
	b.Run("splice", func(b *testing.B) {
		c := bare(b, server(b, endless))
		defer c.Close()
		run(b, c)
	})
}

// bare is a connection whose other end gets what upstream sends, by a loop of blocking
// splices over a pipe of the largest size.
func bare(b *testing.B, upstream string) *net.TCPConn {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	from, err := net.Dial("tcp", upstream)
	if err != nil {
		b.Fatal(err)
	}
	in, out := blocking(b, from), blocking(b, accepted)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		b.Fatal(err)
	}
	const most = 1 << 20
	if _, err := unix.FcntlInt(uintptr(pipe[0]), unix.F_SETPIPE_SZ, most); err != nil {
		b.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		runtime.LockOSThread() // and its thread ends with it
		defer close(over)
		for {
			n, err := unix.Splice(in, nil, pipe[1], nil, most, unix.SPLICE_F_MOVE)
			if n <= 0 || err != nil {
				return
			}
			for n > 0 {
				m, err := unix.Splice(pipe[0], nil, out, nil, int(n), unix.SPLICE_F_MOVE)
				if err != nil {
					return
				}
				n -= m
			}
		}
	}()
	b.Cleanup(func() {
		<-over // the client has hung up
		for _, fd := range []int{in, out, pipe[0], pipe[1]} {
			unix.Close(fd)
		}
	})
	return client.(*net.TCPConn)
}

// blocking takes a connection's descriptor away from Go's poller.
func blocking(b *testing.B, c net.Conn) int {
	defer c.Close()
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	fd, err := unix.Dup(int(f.Fd()))
	if err == nil {
		unix.CloseOnExec(fd)
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		b.Fatal(err)
	}
	return fd
}

// cpu is what this process, with server, proxy and client in it, has used.
func cpu(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// asked measures questions and answers of 64 bytes, each a pause after the one before,
// and reports their median.
func asked(b *testing.B, c net.Conn, each int, pause time.Duration) {
	buf := make([]byte, 64)
	var all []time.Duration
	for b.Loop() {
		for range each {
			time.Sleep(pause)
			at := time.Now()
			if _, err := c.Write(buf); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(c, buf); err != nil {
				b.Fatal(err)
			}
			all = append(all, time.Since(at))
		}
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(0, "ns/op") // says the same, with the worst in it
}

// BenchmarkAnswer: one question after the other.
func BenchmarkAnswer(b *testing.B) {
	ways(b, echo, nil, func(b *testing.B, c *net.TCPConn) { asked(b, c, 5000, 0) })
}

// BenchmarkDelay10ms: the same under a delay of 10 ms, which is to add 10,000 µs. The
// pauses let everybody fall asleep between questions also where nothing is delayed: to
// wake up takes its time, too.
func BenchmarkDelay10ms(b *testing.B) {
	f := &Fault{Effect: Delay{Delay: 10 * time.Millisecond}, Direction: Downstream}
	ways(b, echo, f, func(b *testing.B, c *net.TCPConn) { asked(b, c, 100, 10*time.Millisecond) })
}

// BenchmarkBandwidth: the MB/s that come through a rate of so many.
func BenchmarkBandwidth(b *testing.B) {
	upstream := server(b, endless)
	for _, c := range []struct {
		name string
		rate float64
	}{{"1MBps", 1e6}, {"10MBps", 10e6}, {"100MBps", 100e6}} {
		b.Run(c.name, func(b *testing.B) {
			p := start(b, upstream)
			add(b, p, "f", Fault{Effect: Bandwidth{Rate: c.rate}, Direction: Downstream})
			conn, err := net.Dial("tcp", p.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			size := int64(c.rate) // a second's
			b.SetBytes(size)
			for b.Loop() {
				fetch(b, conn, make([]byte, 64<<10), size)
			}
		})
	}
}
