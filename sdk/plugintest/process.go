package plugintest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/faultline-go/faultline/sdk/wire"
)

// lifeEnv marks a plugin process and what it starts, so that what it leaves behind
// can be found.
const lifeEnv = "FAULTLINE_PLUGINTEST_LIFE"

// process is a plugin in a process of its own, which is this test binary, or the Case's
// Binary. The kit is
// its engine: it holds the other end of its standard input, its connection and its
// session, and can take each away.
type process struct {
	*wire.Client
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	conn    *grpc.ClientConn
	session *wire.Session
	hangUp  context.CancelFunc // breaks the session
	life    string
	log     *tail
	counter *counter      // of its goroutines, where it was asked for
	exited  chan struct{} // closed when the process has ended
}

// starting is how long a plugin process may take until it can be called.
const starting = 30 * time.Second

// program is what a plugin process runs.
type program struct {
	path  string
	plays string // the plugin that it shall play, where it is this test binary
}

func (c Case) program() program {
	if c.Binary != "" {
		return program{path: c.Binary}
	}
	return program{os.Args[0], c.Plugin.Name}
}

// spawn starts a plugin process, configured and with a session open. It ends with
// the test at the latest.
func spawn(t testing.TB, what program, o options) *process {
	t.Helper()
	sockets, err := os.MkdirTemp("", "fl") // the path of a socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	p := &process{life: rand.Text(), log: &tail{}, exited: make(chan struct{})}
	p.cmd = exec.Command(what.path)
	p.cmd.Env = append(os.Environ(), promptly(),
		playEnv+"="+what.plays, lifeEnv+"="+p.life, wire.CookieKey+"="+wire.CookieValue,
		fmt.Sprintf("PLUGIN_PROTOCOL_VERSIONS=%d", wire.Protocol), "PLUGIN_UNIX_SOCKET_DIR="+sockets)
	p.cmd.Stderr = p.log
	p.cmd.WaitDelay = 200 * time.Millisecond // what it leaves behind may hold its standard error open
	p.stdin, err = p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	p.cmd.Stdout = ours
	var calls net.Listener
	if o.counted {
		socket := filepath.Join(sockets, "count")
		if calls, err = net.Listen("unix", socket); err != nil {
			t.Fatal(err)
		}
		defer calls.Close()
		p.cmd.Env = append(p.cmd.Env, countEnv+"="+socket)
	}
	err = p.cmd.Start()
	ours.Close()
	if err != nil {
		t.Fatalf("start the plugin: %v", err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is of no interest: we end it in every way
		close(p.exited)
	}()
	ctx, hangUp := context.WithCancel(context.Background())
	p.hangUp = hangUp
	t.Cleanup(func() {
		p.kill()
		hangUp()
		if p.conn != nil {
			p.conn.Close()
		}
		os.RemoveAll(sockets)
		if t.Failed() && p.log.text() != "" {
			t.Logf("standard error of the plugin process:\n%s", p.log.text())
		}
	})
	address, err := handshake(stdout)
	if err != nil {
		t.Fatalf("the plugin process did not start: %v\n%s", err, p.log.text())
	}
	if p.conn, err = grpc.NewClient("unix:"+address, dialOptions()...); err != nil {
		t.Fatal(err)
	}
	if calls != nil {
		p.counter = awaitCounter(t, calls)
	}
	p.Client = wire.NewClient(p.conn)
	configure(t, p.Client, o)
	if p.session, err = p.Session(ctx); err != nil {
		t.Fatalf("open a session: %v", err)
	}
	return p
}

// promptly makes a program that was built with the race detector end at once, where it
// would wait for a second, in case that it has more to say.
func promptly() string { return "GORACE=" + os.Getenv("GORACE") + " atexit_sleep_ms=0" }

// handshake reads go-plugin's line: core protocol, protocol, network, address, kind.
func handshake(stdout *os.File) (address string, err error) {
	if err := stdout.SetReadDeadline(time.Now().Add(patient(starting))); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("read the handshake: %w", err)
	}
	parts := strings.Split(strings.TrimSpace(line), "|")
	if len(parts) < 5 || parts[1] != fmt.Sprint(wire.Protocol) || parts[2] != "unix" || parts[4] != "grpc" {
		return "", fmt.Errorf("the handshake is %q", line)
	}
	return parts[3], nil
}

// kill ends the process by SIGKILL and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// endsWithin waits for the process to end by itself.
func (p *process) endsWithin(d time.Duration) bool {
	select {
	case <-p.exited:
		return true
	case <-time.After(d):
		return false
	}
}

// leftovers lists the processes that this one started and that still live.
func (p *process) leftovers() ([]string, error) {
	mark := []byte(lifeEnv + "=" + p.life)
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, folder := range folders {
		environ, err := os.ReadFile(filepath.Join(folder, "environ"))
		if err != nil || !bytes.Contains(environ, mark) {
			continue // not ours, or gone by now
		}
		command, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
		found = append(found, fmt.Sprintf("%s (%s)", filepath.Base(folder), bytes.TrimSpace(bytes.ReplaceAll(command, []byte{0}, []byte{' '}))))
	}
	return found, nil
}

// tail keeps the end of what a process prints.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const longestTail = 16 << 10

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	if over := len(l.buf) - longestTail; over > 0 {
		l.buf = append(l.buf[:0], l.buf[over:]...)
	}
	return len(p), nil
}

func (l *tail) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}
