package host

import (
	"os"
	"runtime"
	"sync"
)

// forks is the one thread of the engine that starts plugins. The kernel sends a
// plugin its parent-death signal when the *thread* that forked it ends, and Go ends
// threads when it pleases; this one is held for the life of the process.
var forks = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go forkForever(work)
	return work
})

func forkForever(work <-chan func()) {
	runtime.LockOSThread()
	for f := range work {
		f()
	}
}

// startProcess is os.StartProcess on that thread.
func startProcess(path string, argv []string, attr *os.ProcAttr) (p *os.Process, err error) {
	done := make(chan struct{})
	forks() <- func() {
		p, err = os.StartProcess(path, argv, attr)
		close(done)
	}
	<-done
	return p, err
}
