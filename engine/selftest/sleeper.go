package selftest

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// SleeperCommand is the hidden command of faultline that runs Sleep: the program
// that the self-test breaks, as a process and as a container.
const SleeperCommand = "selftest-target"

// Sleep is the target: it writes its pid file, if it has one, and sleeps until it is
// told to end. It never outlives maxLife, whatever became of the self-test.
func Sleep(pidFile string, maxLife time.Duration) error {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	if pidFile != "" {
		// Whole or not at all: somebody may read it at any moment.
		fresh := pidFile + ".new"
		if err := os.WriteFile(fresh, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
			return fmt.Errorf("write pid file: %w", err)
		}
		if err := os.Rename(fresh, pidFile); err != nil {
			return fmt.Errorf("write pid file: %w", err)
		}
	}
	select {
	case <-end:
	case <-time.After(maxLife):
	}
	return nil
}
