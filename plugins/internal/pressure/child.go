package pressure

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/sdk"
)

// argument is what a pressure process is called with; its mark comes after it.
const argument = "pressure"

const (
	// beatEvery is how often the plugin says that it still wants the pressure, and
	// patience how long a process goes on without hearing of it: a plugin that is dead
	// is noticed at once, this is for one that stands still.
	beatEvery = time.Second
	patience  = 15 * time.Second
)

// goOn is the line that tells a pressure process that it is where it belongs.
const goOn = "go on"

// order is what a pressure process is told on its standard input, in one line. After it
// come goOn and, now and then, empty lines: beats.
type order struct {
	Load Load `json:"load"`
	// Target is who the pressure is for: it ends with that process. nil: the machine.
	Target *incarnation.Incarnation `json:"target,omitempty"`
}

// answer is what it says on its standard output, twice: when it can be put into the
// target's control groups, and when the pressure is on.
type answer struct {
	Error string `json:"error,omitempty"`
	Gone  bool   `json:"gone,omitempty"` // the target is
}

// Main makes this process a pressure process if it was started as one, and does not
// return then. It comes first in the main function of a plugin that makes pressure, and
// in the TestMain of its tests.
func Main() {
	if len(os.Args) != 3 || os.Args[1] != argument {
		return
	}
	if err := press(os.Args[2]); err != nil {
		// Nobody may listen any more, and there is nothing to clean up.
		_ = json.NewEncoder(os.Stdout).Encode(answer{Error: err.Error(), Gone: errors.Is(err, sdk.ErrGone)})
		os.Exit(1)
	}
	os.Exit(0)
}

// work is one kind of pressure. start puts it on, or fails; hold keeps it until its
// context ends; stop, which most do without, takes off what would outlive the process.
type work struct {
	start func(context.Context) error
	hold  func(context.Context)
	stop  func()
}

// press is the life of a pressure process: it waits for its order, puts the pressure
// on, says so, and keeps it until the plugin, or the target, is gone.
func press(mark string) error {
	// The thread that starts processes of our own must not end before we do: they end
	// with it.
	runtime.LockOSThread()
	if err := dieFirst(); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGPIPE)
	// Memory that is given back shall be free for others, not for us.
	debug.SetGCPercent(50)

	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("wait for an order: %w", err)
	}
	var o order
	if err := json.Unmarshal(line, &o); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	o.Load.warm()
	if err := json.NewEncoder(os.Stdout).Encode(answer{}); err != nil {
		return err
	}
	for text := ""; text != goOn+"\n"; {
		if text, err = in.ReadString('\n'); err != nil {
			return fmt.Errorf("wait for the control group: %w", err)
		}
	}
	ctx, end := context.WithCancelCause(context.Background())
	go listen(in, end)
	if o.Target != nil {
		h, err := o.Target.Open()
		if err != nil {
			return err
		}
		go func() {
			_ = h.Wait(ctx)
			end(errors.New("the target has ended"))
		}()
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	go func() {
		<-asked
		end(errors.New("asked to end"))
	}()
	all := o.Load.works(mark, o.Target)
	for _, w := range all {
		if w.stop != nil {
			defer w.stop()
		}
		if err := w.start(ctx); err != nil {
			return err
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer{}); err != nil {
		return err
	}
	for _, w := range all {
		go w.hold(ctx)
	}
	<-ctx.Done()
	return nil
}

// warm has the Go runtime make all threads that the load will need, and some for
// itself. It would not survive to be refused one, and in the target's control group
// there may be no room for any.
func (l Load) warm() {
	threads := 8
	if l.CPU != nil {
		threads += max(l.CPU.Cores, runtime.NumCPU())
	}
	if l.IO != nil {
		threads += 2 * l.IO.Workers
	}
	var all, leave sync.WaitGroup
	leave.Add(1)
	for range threads {
		all.Add(1)
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			all.Done()
			leave.Wait() // by then each has a thread of its own, which the runtime keeps
		}()
	}
	all.Wait()
	leave.Done()
}

// works are what a load consists of, in the order in which they start: memory and disk
// first, so that they need not be waited for beside a burning processor.
func (l Load) works(mark string, target *incarnation.Incarnation) []work {
	var all []work
	if l.Memory != nil {
		all = append(all, l.Memory.work())
	}
	if l.Disk != nil {
		all = append(all, l.Disk.work(mark, target))
	}
	if l.IO != nil {
		all = append(all, l.IO.work(mark, target))
	}
	if l.Processes != nil {
		all = append(all, l.Processes.work(target))
	}
	if l.CPU != nil {
		all = append(all, l.CPU.work())
	}
	return all
}

// listen ends the process's work when the plugin is gone or stands still.
func listen(in *bufio.Reader, end context.CancelCauseFunc) {
	late := time.AfterFunc(patience, func() { end(errors.New("the plugin says nothing any more")) })
	for {
		_, err := in.ReadByte()
		if err != nil {
			end(io.EOF)
			return
		}
		late.Reset(patience)
	}
}

// dieFirst makes this process the kernel's first choice when memory runs out.
func dieFirst() error {
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0); err != nil {
		return fmt.Errorf("offer this process to the OOM killer: %w", err)
	}
	return nil
}

// usableCPUs is how many processors this process may run on by now.
func usableCPUs() (int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, fmt.Errorf("count processors: %w", err)
	}
	return set.Count(), nil
}
