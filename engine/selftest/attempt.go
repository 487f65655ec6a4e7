package selftest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// eventTime is how long a run may take to come to an event. Long, because a user's
	// own game day may measure a long baseline.
	eventTime = 30 * time.Minute
	// settleTime is how long everything may take to end after the accident, beyond what
	// the run still has planned. A docker plugin that may have a request in flight
	// looks for 10 s whether it comes true, and a revert that hangs is given up after a
	// minute or so.
	settleTime = 3 * time.Minute
	// commandPatience bounds recover and report.
	commandPatience = 2 * time.Minute
	// awake is how long a stopped engine stays stopped at least, beyond its lease.
	awake = 700 * time.Millisecond
)

// attempt is one case under way.
type attempt struct {
	*lab
	c   Case
	dir string
	r   *CaseResult

	target  target
	watch   *watch
	engine  *engine
	runDir  string
	facts   *facts
	plugin  process
	guard   process
	dead    time.Time // of the accident
	resumed time.Time // when a stopped engine went on

	scenario string
	replaced time.Time // when another target ran in the first one's place; zero: never
}

// engine is a `faultline run` that we started.
type engine struct {
	process
	over chan struct{} // closed when it has ended
	code int           // its exit code; -1: a signal ended it; valid once over is closed
}

// tries is how often a case is begun that a slow machine does not let come to its
// accident.
const tries = 2

// try makes one case from beginning to end, and leaves nothing behind but its folder
// where something was wrong.
func (l *lab) try(ctx context.Context, c Case) CaseResult {
	for again := 1; ; again++ {
		r, err := l.tryOnce(ctx, c, again == tries)
		if !errors.Is(err, errNoEvent) || r.bad() || again == tries || ctx.Err() != nil {
			return r
		}
	}
}

// tryOnce says with errNoEvent that nothing was tried. Its folder is then only kept
// the last time.
func (l *lab) tryOnce(ctx context.Context, c Case, last bool) (CaseResult, error) {
	a := &attempt{lab: l, c: c, r: &CaseResult{Case: c}}
	if ctx.Err() != nil {
		a.r.Untried = context.Cause(ctx).Error()
		return *a.r, nil
	}
	err := a.begin(ctx)
	if err == nil {
		err = a.accident(ctx)
	}
	if err == nil {
		err = a.aftermath(ctx)
	}
	if err == nil && c.calm() {
		err = l.warmUp(a.dir)
	}
	switch {
	case err == nil:
	case errors.Is(err, errNoEvent):
		a.r.Untested = err.Error()
	default:
		a.r.Untried = err.Error()
	}
	a.cleanUp(ctx, last || !errors.Is(err, errNoEvent) || a.r.bad())
	return *a.r, err
}

// begin starts the target and a run that will break it.
func (a *attempt) begin(ctx context.Context) (err error) {
	if a.dir, err = a.place(); err != nil {
		return err
	}
	t, scenario, err := a.makers[a.c.Fault](ctx, a.c, a.dir)
	a.target, a.scenario = t, scenario
	if err != nil {
		return err
	}
	switch ok, seen, err := t.clean(ctx); {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("the target is not clean to begin with: %s", seen)
	}
	a.watch = follow(context.WithoutCancel(ctx), t)
	cmd, log, err := a.command("run.log", a.runArgs()...)
	if err != nil {
		return err
	}
	defer log.Close()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start a run: %w", err)
	}
	p, ok := look(cmd.Process.Pid)
	e := &engine{process: p, over: make(chan struct{})}
	a.engine = e
	go func() {
		defer close(e.over)
		_ = cmd.Wait()
		e.code = cmd.ProcessState.ExitCode()
	}()
	if !ok {
		return errors.New("start a run: its process cannot be seen in /proc")
	}
	return nil
}

func (a *attempt) runArgs() []string {
	args := []string{"run", "-auto-approve", "-policy-dir="} // only our own targets are broken
	if a.own != nil {
		for _, v := range a.own.Variables {
			args = append(args, "-var", v)
		}
	}
	return append(args, a.scenario)
}

// command prepares a faultline command in the case's state folder. Its output goes to
// a file of the case's folder, which the caller closes.
func (a *attempt) command(log string, args ...string) (*exec.Cmd, *os.File, error) {
	out, err := os.OpenFile(filepath.Join(a.dir, log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	global := []string{"-no-color", "-state-dir", filepath.Join(a.dir, "state"), "-plugin-dir", a.bin}
	if a.own != nil {
		global = append(global, "-insecure") // the user has named the very binary to test
		for _, dir := range a.from {         // for the probes of a scenario of the user's
			global = append(global, "-plugin-dir", dir)
		}
	}
	cmd := exec.Command(filepath.Join(a.dir, programName), append(args[:1:1], append(global, args[1:]...)...)...)
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(a.lab.dir, "cache"), "TMPDIR="+a.temporary())
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = ownSession()
	return cmd, out, nil
}

// accident waits for the case's event, and kills or stops whoever is to die.
func (a *attempt) accident(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, eventTime, errors.New("it took too long"))
	defer cancel()
	dir, journal, err := awaitRun(ctx, filepath.Join(a.dir, "state"), a.engine.over)
	if err != nil {
		return a.explain(err)
	}
	defer journal.file.Close()
	a.runDir = dir
	c := a.c
	if c.calm() {
		c.Event = RunEnded
	}
	if a.facts, err = journal.await(ctx, c, a.engine.over, a.locate); err != nil {
		return a.explain(err)
	}
	// Stopped first, so that nobody sees another die and puts back before its own end;
	// and then the engine last, because the kernel wakes the stopped children of one
	// that ends (an orphaned process group, setpgid(2)).
	signals := []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL}
	if c.How == Stopped {
		signals = signals[:1]
	}
	a.dead = time.Now()
	for _, s := range signals {
		for _, p := range a.victims() {
			// One that has ended meanwhile, at the end of the run, is as dead.
			if err := p.signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return err
			}
		}
	}
	return a.tell(ctx)
}

// explain adds what a run said to an error about it.
func (a *attempt) explain(err error) error {
	raw, _ := os.ReadFile(filepath.Join(a.dir, "run.log"))
	if text := strings.TrimSpace(string(raw)); text != "" {
		lines := strings.Split(text, "\n")
		return fmt.Errorf("%w; the run said: %s", err, strings.Join(lines[max(0, len(lines)-3):], " / "))
	}
	return err
}

// locate finds the plugin and the guardian of the run.
func (a *attempt) locate() error {
	if a.c.Who == Nobody {
		return nil
	}
	all, err := under(a.dir)
	if err != nil {
		return err
	}
	want := pluginPrefix + a.pluginOf(a.c.Fault)
	for _, p := range all {
		if p.name() == want && p.parent == a.engine.pid {
			a.plugin = p
		}
	}
	if a.plugin.pid == 0 {
		return fmt.Errorf("no process of %s runs under the engine", want)
	}
	raw, err := os.ReadFile(filepath.Join(a.runDir, "guardian.pid"))
	if err != nil {
		return fmt.Errorf("find the guardian: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return fmt.Errorf("find the guardian: %w", err)
	}
	for _, p := range all {
		if p.pid == pid {
			a.guard = p
			return nil
		}
	}
	return fmt.Errorf("the guardian, process %d, does not run", pid)
}

// victims are those who die, the engine last.
func (a *attempt) victims() []process {
	var out []process
	for _, v := range []struct {
		who Who
		process
	}{{Plugin, a.plugin}, {Guardian, a.guard}, {Engine, a.engine.process}} {
		if a.c.Who&v.who != 0 {
			out = append(out, v.process)
		}
	}
	return out
}

// resume wakes a stopped engine and who was stopped with it, once the lease is over and
// the target had its time.
func (a *attempt) resume(ctx context.Context) error {
	lease := a.leaseTime()
	least, most := a.dead.Add(lease+awake), a.dead.Add(lease+Slack+5*time.Second)
	for ctx.Err() == nil {
		ok := a.watch.look(ctx)
		if now := time.Now(); now.After(most) || (ok || a.c.asleep()) && now.After(least) {
			break
		}
		pause(ctx, 20*time.Millisecond)
	}
	a.resumed = time.Now()
	for _, p := range a.victims() {
		if err := p.signal(syscall.SIGCONT); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
	}
	return nil
}

// leaseTime is the lease of the run's fault, or that of our own game day.
func (a *attempt) leaseTime() time.Duration {
	if a.facts.lease > 0 {
		return a.facts.lease
	}
	return lease
}

// quiet waits until nothing of the case runs any more but the target.
func (a *attempt) quiet(ctx context.Context) (left []process, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.facts.duration+settleTime)
	defer cancel()
	for {
		all, err := under(a.dir)
		if err != nil {
			return nil, err
		}
		left = left[:0]
		for _, p := range all {
			if p.name() != sleeperName {
				left = append(left, p)
			}
		}
		if len(left) == 0 || ctx.Err() != nil {
			return left, nil
		}
		pause(ctx, 30*time.Millisecond)
	}
}

// cleanUp ends what still runs and takes the target away, whatever happened. The folder
// of a case that went wrong stays, if it may.
func (a *attempt) cleanUp(ctx context.Context, mayKeep bool) {
	interrupted := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandPatience)
	defer cancel()
	wrong := func(err error) {
		if err != nil {
			a.r.Wrong = append(a.r.Wrong, "clean up: "+err.Error())
		}
	}
	if a.dir == "" {
		return
	}
	if a.engine != nil {
		wrong(a.endOurs(ctx))
		<-a.engine.over
	}
	if a.own != nil && a.runDir != "" && (interrupted || !a.r.OK()) {
		_, err := a.faultline(ctx, "clean-up.log", "recover") // the target is not ours to take away
		wrong(err)
	}
	if a.watch != nil {
		a.watch.end()
	}
	if a.target != nil {
		wrong(a.target.remove(ctx))
	}
	wrong(endAll(ctx, a.dir, ""))
	if a.r.OK() || interrupted || !mayKeep || a.engine == nil { // without a run there is nothing to read
		wrong(os.RemoveAll(a.dir))
		return
	}
	a.keep()
	a.r.Kept = a.dir
	for _, name := range []string{programName, sleeperName, filepath.Join("state", keptPlugins)} {
		wrong(os.RemoveAll(filepath.Join(a.dir, name))) // large, and the same in every case
	}
}

// endOurs kills everything of the case but the target.
func (a *attempt) endOurs(ctx context.Context) error {
	for {
		all, err := under(a.dir)
		if err != nil {
			return err
		}
		left := 0
		for _, p := range all {
			if p.name() == sleeperName {
				continue
			}
			left++
			if err := p.signal(killSignal); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return err
			}
		}
		if left == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		pause(ctx, 10*time.Millisecond)
	}
}

// faultline runs a command to its end, and returns its exit code.
func (a *attempt) faultline(ctx context.Context, log string, args ...string) (int, error) {
	cmd, out, err := a.command(log, args...)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start faultline %s: %w", args[0], err)
	}
	p, _ := look(cmd.Process.Pid)
	ctx, cancel := context.WithTimeout(ctx, commandPatience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = p.signal(killSignal) })
	err = cmd.Wait()
	stop()
	if ctx.Err() != nil {
		return 0, fmt.Errorf("faultline %s did not end within %s", args[0], commandPatience)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("faultline %s: %w", args[0], err)
	}
	return cmd.ProcessState.ExitCode(), nil
}
