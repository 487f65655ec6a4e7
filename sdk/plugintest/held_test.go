package plugintest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/faultline-go/faultline/sdk"
)

// held switches a lamp off and leaves somebody there who switches it on again when the
// time in the file until has passed: a helper at the target. It goes when the file does.
func held() lampOff {
	f := sound()
	f.Type, f.Hold = "bent_held", sdk.HoldTarget
	inject, revert := f.Inject, f.Revert
	f.Inject = func(ctx context.Context, c noConfig, u lampUndo) error {
		lease, ok := sdk.LeaseOf(ctx)
		if !ok {
			return errors.New("there is no lease")
		}
		if err := errors.Join(u.same(), u.keep(lease.TTL)); err != nil {
			return err
		}
		if err := watch(u.Dir); err != nil {
			return err
		}
		return inject(ctx, c, u)
	}
	f.Renew = func(_ context.Context, u lampUndo, ttl time.Duration) error { return u.keep(ttl) }
	f.Revert = func(ctx context.Context, u lampUndo) (sdk.Reverted, error) {
		for _, file := range []string{u.until(), u.next()} { // it may have died over a renewal
			if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
				return sdk.Reverted{}, err
			}
		}
		return revert(ctx, u)
	}
	return f
}

// forgetful has a helper that nobody tells of renewals.
func forgetful() lampOff {
	f := held()
	f.Type, f.Renew = "bent_forgetful", func(context.Context, lampUndo, time.Duration) error { return nil }
	return f
}

// undying says that it ends by itself, and has nobody who does it.
func undying() lampOff {
	f := sound()
	f.Type, f.Hold = "bent_undying", sdk.HoldTarget
	return f
}

func (u lampUndo) until() string { return filepath.Join(u.Dir, "until") }

func (u lampUndo) next() string { return u.until() + ".next" }

func (u lampUndo) keep(ttl time.Duration) error {
	return errors.Join(write(u.next(), strconv.FormatInt(time.Now().Add(ttl).UnixMilli(), 10)), os.Rename(u.next(), u.until()))
}

// watch starts the helper, in a session of its own so that it outlives the plugin.
func watch(dir string) error {
	const script = `while [ -e until ]; do
	if [ "$(date +%s%3N)" -gt "$(cat until)" ]; then
		rm -f until lamp.saved lamp.done
		printf on > lamp
	fi
	sleep 0.02
done`
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start a helper: %w", err)
	}
	go func() { _ = cmd.Wait() }()
	return nil
}
